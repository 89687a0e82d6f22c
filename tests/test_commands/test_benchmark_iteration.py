"""The command ``benchmark_iteration``: its table, its files and its messages."""

import json
import re
from statistics import median

import pytest
from conftest import REPO
from matplotlib.image import imread

from fishnet_mmdet.commands.benchmark_iteration import main
from fishnet_mmdet.errors import FishNetError

DOOR = REPO / 'tools/analysis_tools/benchmark_iteration.py'


def test_training(command, tiny_config, tmp_path):
    config = tiny_config()
    out = command(DOOR, config, '--as-mmdet', config, '--rounds', '2', '--json', 'times.json', '--plot', 'times.png')
    results = json.loads((tmp_path / 'times.json').read_text())['results']
    assert [(row['amp'], row['as_mmdet']) for row in results] == [(False, False), (False, True), (True, False), (True, True)]
    lines = [re.split(r' *\| *', line)[1:-1] for line in out.splitlines() if line.startswith('| ')]
    assert [line[:2] for line in lines[1:]] == [
        [title, precision] for precision in ('float32', 'amp') for title in ('tiny', 'tiny, as mmdet')
    ]
    for i, row in enumerate(results):
        first = results[i // 2 * 2]
        assert len(row['seconds']) == 2 and row['first'] > 0 and row['peak'] > 2**27
        assert row['ratio'] == median(mine / its for mine, its in zip(row['seconds'], first['seconds']))
        # A tiny network multiplies for a small part of its time.
        assert 0.001 < row['products'] / row['profiled'] < 0.9
    assert imread(tmp_path / 'times.png').min() < 0.5


def test_tests_are_in_float32(tiny_config, capsys):
    main([str(tiny_config()), '--step', 'test', '--rounds', '1'])
    out = capsys.readouterr().out
    assert out.count('| tiny') == 1 and '| float32' in out


def test_a_classifier(capsys):
    data = f'data_root={REPO / "demo/nuclei"}/'
    config = REPO / 'configs/demo/classifier_fishnet150_nuclei.py'
    main([str(config), '--precision', 'float32', '--rounds', '1', '--cfg-options', data, 'train_dataloader.batch_size=2'])
    assert '| classifier_fishnet150_nuclei | float32' in capsys.readouterr().out


def test_messages(tiny_config, tmp_path):
    config = str(tiny_config())
    with pytest.raises(FishNetError, match='data of train_dataloader is missing') as error:
        main([config, '--cfg-options', f'data_root={tmp_path / "nowhere"}'])
    assert '--cfg-options data_root' in str(error.value)
