"""The command ``stats``: its table, its files and its messages."""

import json

import pytest
import torch
from conftest import REPO
from matplotlib.image import imread

from fishnet_mmdet.commands.stats import main
from fishnet_mmdet.errors import FishNetError

pytestmark = pytest.mark.skipif(torch.__version__ < (2, 1), reason='torch counts operations from 2.1 on')

DOOR = REPO / 'tools/analysis_tools/get_flops.py'


def test_command(here, tmp_path):
    out = here(DOOR, 'fishnet99', 'fishnet55', '--json', 'counts.json', '--figure', 'figure.png')
    lines = out[out.index('| network') :].splitlines()
    assert '13,335,296' in lines[2] and '16,628,904' in lines[2] and '4.264 G' in lines[2] and '2112x7x7' in lines[2]
    assert lines[3].startswith('| FishNet-55')
    assert 'convolutions and matrix products' in out
    rows = json.loads((tmp_path / 'counts.json').read_text())
    assert [row['network'] for row in rows] == ['fishnet99', 'fishnet55']
    assert rows[0]['published_top1_error'] == 22.59 and rows[1]['published_top1_error'] is None
    assert rows[0]['parameters_with_head'] == 16_628_904
    assert imread(tmp_path / 'figure.png').min() < 0.5


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['nowhere.py'], ['nowhere.py']),
        (['empty.py'], ['empty.py', 'model.backbone', 'FishNet']),
        (['fishnet100'], ["'fishnet100'", 'fishnet55, fishnet77, fishnet99', 'hrnet_w32']),
        (['fishnet99', '--size', '0x224'], ['0x224', '800x1344']),
        (['fishnet99', '--batch', '-1'], ['-1', 'at least 1']),
        (['hrnet_w32', '--size', '100x100'], ['hrnet_w32', '100x100', 'multiples of 32']),
        (['fishnet99', '--size', '32x32'], ['fishnet99', '32x32', 'at least 64']),
        (['fishnet55', '--figure', 'figure.png'], ['none', 'published', 'fishnet99, fishnet150']),
        (['resnet50', '--size', '64x64', '--figure', 'figure.png'], ['224x224', '--size']),
        (['resnet50', '--figure', '/dev/null/figure.png'], ['/dev/null', 'not a folder', '--figure']),
        (['resnet50', '--json', '/dev/null/counts.json'], ['/dev/null', 'not a folder', '--json']),
    ],
)
def test_messages(monkeypatch, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty.py').write_text('model = dict()')
    with pytest.raises(FishNetError) as error:
        main(arguments)
    for word in words:
        assert word in str(error.value)
