"""The command ``benchmark``: its table, its files and its messages."""

import json
import re
import sys
from statistics import median

import pytest
import torch
import torch.nn as nn
from conftest import REPO
from matplotlib.image import imread

from fishnet_mmdet.analysis.counts import count_costs
from fishnet_mmdet.analysis.networks import NETWORKS, build
from fishnet_mmdet.commands.benchmark import main
from fishnet_mmdet.errors import FishNetError

DOOR = REPO / 'tools/analysis_tools/benchmark.py'


def channels_of_norms(network):
    with torch.device('meta'):
        net = build(NETWORKS[network], 'detection')
    return sum(module.num_features for module in net.modules() if isinstance(module, nn.BatchNorm2d))


@pytest.mark.skipif(torch.__version__ < (2, 1), reason='torch counts operations from 2.1 on')
def test_command(command, tmp_path):
    names = ['fishnet55', 'resnet50@channels_last', 'convolutions_fishnet55']
    out = command(DOOR, *names, '--size', '64x96', '--rounds', '3', '--json', 'times.json', '--plot', 'times.png')
    about = json.loads((tmp_path / 'times.json').read_text())
    results = about.pop('results')
    assert about['setting'] == 'detection' and about['dtype'] == 'float32' and about['rounds'] == 3
    for words in ('1 threads', 'detection, float32', f'torch {torch.__version__}', 'mmcv 2', 'mmdet 3', 'fishnet_mmdet 0'):
        assert words in out

    assert [(row['step'], row['network']) for row in results] == [(s, name) for s in ('forward', 'train') for name in names]
    header, _, *lines = (re.split(r' *\| *', line)[1:-1] for line in out.splitlines() if line.startswith('|'))
    assert header[5:] == ['ratio to FishNet-55', 'saved for backward', 'peak memory']
    for i, (line, row) in enumerate(zip(lines, results)):
        first = results[i // 3 * 3]
        assert len(row['seconds']) == 3 and (row['height'], row['width']) == (64, 96)
        assert row['ratio'] == median(mine / its for mine, its in zip(row['seconds'], first['seconds']))
        assert line[:3] == ['1 x 64x96', row['step'], row['title']]
        assert float(line[3].split()[0]) == pytest.approx(1e3 * median(row['seconds']), abs=0.06)
        assert line[5] == f'{row["ratio"]:.3f}'
        assert (row['saved_bytes'] is None) == (row['step'] == 'forward' or row['network'] == names[2])
    assert len(lines) == 6
    titles = ['FishNet-55', 'ResNet-50, channels-last', 'FishNet-55, convolutions']
    assert [row['title'] for row in results[:3]] == titles

    for row, network in zip(results[3:5], ('fishnet55', 'resnet50')):
        counted = count_costs(network, (64, 96))['saved_bytes']['detection']
        # Frozen BN on its own saves two statistics a channel, which are empty in a computation.
        assert 0 <= counted - row['saved_bytes'] <= 2 * 4 * channels_of_norms(network) < 0.05 * counted
    if results[3]['peak_bytes'] is not None:
        assert results[3]['peak_bytes'] > results[3]['saved_bytes']

    assert out.count(' min left)') == 2 * (2 + 3) and '(0.0 min left)' in out
    assert imread(tmp_path / 'times.png').min() < 0.5


@pytest.mark.parametrize(
    'words, message',
    [
        (['fishnet100'], ["'fishnet100'", 'fishnet55, fishnet77', 'reference_fishnet150', 'convolutions_resnet50']),
        (['fishnet55@nhwc'], ["'nhwc'", 'fishnet55@channels_last']),
        (['fishnet55', '--size', '64x64', '800'], ['--size', '800x1344', "'800'"]),
        (['fishnet55', '--size', '0x64'], ['--size', '0x64']),
        (['fishnet55', '--batch', '2', '0'], ['--batch must be a whole number of at least 1, not 0']),
        (['fishnet55', '--rounds', '0'], ['--rounds must be a whole number of at least 1, not 0']),
        (['fishnet55', '--threads', '-1'], ['--threads must be a whole number of at least 1, not -1']),
        (['fishnet55', '--device', 'tpu'], ['--device', 'tpu', 'such as cpu']),
        (['fishnet55', '--json', '/dev/null/times.json'], ['/dev/null', 'not a folder', '--json']),
        (['fishnet55', '--plot', '/dev/null/times.png'], ['/dev/null', 'not a folder', '--plot']),
        (['fishnet55', '--plot', 'times.xyz'], ['times.xyz', '--plot', '.png']),
        (['hrnet_w32', '--size', '100x100'], ['hrnet_w32', 'forward, 1 x 100x100', 'multiples of 32']),
        (['fishnet55', '--size', '1000000x1000000'], ['fishnet55', '1 x 1000000x1000000', 'not enough memory']),
        (['pytorchcv_fishnet99'], ['pytorchcv_fishnet99', 'pip install pytorchcv']),
    ],
)
def test_messages(monkeypatch, tmp_path, words, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.setitem(sys.modules, 'pytorchcv', None)
    with pytest.raises(FishNetError) as error:
        main(words)
    for part in message:
        assert part in str(error.value)
    assert '\n' not in str(error.value)


def test_one_line_and_no_trace(refusal):
    assert refusal(DOOR, 'reference_fishnet99', '--size', '90x90').count('\n') == 1
