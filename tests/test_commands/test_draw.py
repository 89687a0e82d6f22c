"""The command ``draw``: its picture, depth 229 from its config, and its messages."""

import numpy as np
import pytest
from conftest import REPO
from matplotlib.figure import Figure
from matplotlib.image import imread

from fishnet_mmdet.commands import draw
from fishnet_mmdet.errors import FishNetError

DOOR = REPO / 'tools/analysis_tools/draw_fish.py'


def test_command(here, tmp_path):
    out = here(DOOR)
    assert out.splitlines()[-1] == 'fishnet150.png'
    file = tmp_path / 'fishnet150.png'
    assert file.stat().st_size < 300_000
    image = imread(file)[..., :3]
    height, width = image.shape[:2]
    assert 1500 < width < 1700 and 0.4 < height / width < 0.6
    assert (image[[0, -1]] == 1).all() and (image[:, [0, -1]].mean() > 0.99)
    assert len(np.unique((255 * image).astype(int) @ [1, 256, 256**2])) > 100
    assert 0.1 < (image.min(axis=2) < 0.8).mean() < 0.5


def test_fish_of_a_config(monkeypatch, tmp_path, capsys):
    drawn = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(draw, 'draw_fish', lambda fish: drawn.append(fish) or Figure())
    draw.main([str(next(REPO.glob('configs/**/mask_rcnn_fishnext229_fpn.py')))])
    (fish,) = drawn
    assert fish.depth == 229 and fish.tail_units == (3, 4, 15) and fish.group_width == 4
    assert capsys.readouterr().out == 'mask_rcnn_fishnext229_fpn.png\n'
    assert (tmp_path / 'mask_rcnn_fishnext229_fpn.png').is_file()


@pytest.mark.parametrize('name, words', [('fishnet7', 'fishnet99, fishnet150'), ('resnet50', 'resnet50 is no FishNet')])
def test_no_fish(name, words):
    with pytest.raises(FishNetError, match=words):
        draw.main([name])


def test_one_line_and_no_trace(refusal):
    assert refusal(DOOR, 'fishnet7').count('\n') == 1


@pytest.mark.parametrize(
    'out, words', [('/dev/null/fish.png', '--out: /dev/null is not a folder'), ('fish.doc', r'\.png.* fish\.doc')]
)
def test_picture_that_cannot_be_written(monkeypatch, tmp_path, out, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FishNetError, match=words):
        draw.main(['--out', out])
