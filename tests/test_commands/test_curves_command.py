"""The command ``curves``: its picture and its messages."""

import json

import pytest
from conftest import REPO
from matplotlib.image import imread

from fishnet_mmdet.commands.curves import main
from fishnet_mmdet.errors import FishNetError

DOOR = REPO / 'tools/analysis_tools/analyze_logs.py'


@pytest.fixture
def run(tmp_path):
    """The work dir of a run of three epochs."""
    file = tmp_path / 'run/20240101_000000/vis_data/scalars.json'
    file.parent.mkdir(parents=True)
    with file.open('w') as lines:
        for epoch in (1, 2, 3):
            parts = dict(loss_cls=0.6 / epoch, loss_bbox=0.4 / epoch)
            lines.write(json.dumps(dict(lr=0.02, loss=1 / epoch, **parts, epoch=epoch, step=10 * epoch)) + '\n')
            scores = {f'coco/{name}': epoch / 10 for name in ('bbox_mAP', 'bbox_mAP_50', 'segm_mAP', 'segm_mAP_50')}
            lines.write(json.dumps(dict(scores, step=epoch)) + '\n')
    return tmp_path / 'run'


def test_command(here, run, tmp_path):
    out = here(DOOR, run)
    assert out.splitlines()[-1] == str(run / 'curves.png')
    image = imread(run / 'curves.png')[..., :3]
    height, width = image.shape[:2]
    assert 1000 < width < 2500 and 400 < height < 1200
    for half in (image[:, : width // 2], image[:, width // 2 :]):
        coloured = half.max(axis=2) - half.min(axis=2) > 0.3
        assert 0.0005 < coloured.mean() < 0.2
        assert (half == 1).all(axis=2).mean() > 0.7


def test_no_run(refusal):
    message = refusal(DOOR, 'nowhere')
    assert 'nowhere' in message and '--work-dir' in message


def test_out(run, tmp_path, capsys):
    out = tmp_path / 'other.png'
    main([str(run), '--out', str(out)])
    assert capsys.readouterr().out == f'{out}\n'
    assert imread(out).min() < 0.5
    assert not (run / 'curves.png').exists()


def test_picture_that_cannot_be_written(run):
    with pytest.raises(FishNetError, match='/dev/null is not a folder'):
        main([str(run), '--out', '/dev/null/curves.png'])


def test_runs_of_the_same_name(run):
    with pytest.raises(FishNetError, match='same name'):
        main([str(run), str(run)])
