"""Comparing models: what the logs say, what is trained, and the table."""

import json
from pathlib import Path

import pytest

from fishnet_mmdet.analysis.comparison import SCORES, hash_of, is_finished, summary_of, table
from fishnet_mmdet.analysis.runs import Run, read_run
from fishnet_mmdet.commands import compare
from fishnet_mmdet.engine.configs import read_config
from fishnet_mmdet.errors import FishNetError

COCO = [name for name in SCORES if name.startswith('coco/')]


def write_log(work_dir, scores, epochs=2):
    """What mmengine logs of a run: 3 iterations an epoch, and a validation after each."""
    folder = work_dir / '20260101_000000/vis_data'
    folder.mkdir(parents=True)
    lines = []
    for epoch in range(1, epochs + 1):
        lines += [dict(loss=1.0, time=float(i), epoch=epoch, step=3 * (epoch - 1) + i) for i in (1, 2, 6)]
        lines.append(
            {
                **dict.fromkeys(COCO, scores * epoch / epochs),
                'data_time': 0.1,
                'time': 0.5 * epoch,
                'step': epoch,
            }
        )
    (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)))


def test_summary_of_a_run(tmp_path):
    write_log(tmp_path, 0.5)
    summary = summary_of(read_run(tmp_path))
    assert summary['seconds_per_iteration'] == 2.0 and summary['seconds_per_batch_of_validation'] == 0.75
    assert [point['epoch'] for point in summary['curve']] == [1, 2]
    assert [point['coco/segm_mAP_50'] for point in summary['curve']] == [25, 50]
    assert 'accuracy/top1' not in summary['curve'][0]


def test_accuracy_is_in_percent_already():
    run = Run([dict(loss=1.0, time=1.0, step=1)], [{'accuracy/top1': 93.5, 'time': 0.3, 'step': 1}])
    assert summary_of(run)['curve'] == [{'epoch': 1, 'accuracy/top1': 93.5}]


def test_a_validation_without_detections_is_zero():
    found = {'coco/bbox_mAP': 0.5, 'step': 2, 'time': 0.3}
    run = Run([dict(loss=1.0, time=1.0, step=1)], [dict(step=1, data_time=0.1, time=0.3), found])
    assert summary_of(run)['curve'] == [{'epoch': 1, 'coco/bbox_mAP': 0.0}, {'epoch': 2, 'coco/bbox_mAP': 50.0}]


def test_table_has_means_and_ranges():
    rows = [
        dict(
            config=config,
            parameters=1234,
            seconds_per_iteration=seconds,
            curve=[dict.fromkeys(COCO, 0.0), dict.fromkeys(COCO, value)],
        )
        for config, seconds, value in (('a.py', 1, 20), ('b.py', 9, 50), ('a.py', 2, 30), ('a.py', 6, 70))
    ]
    header, _, *lines = table(rows).splitlines()
    assert header.endswith('| bbox_mAP | bbox_mAP_50 | bbox_mAP_75 | segm_mAP | segm_mAP_50 | segm_mAP_75 |')
    assert lines == [
        '| a.py | 3 | 1,234 | 3 | ' + ' | '.join(['40.0 (20.0 to 70.0)'] * 6) + ' |',
        '| b.py | 1 | 1,234 | 9 | ' + ' | '.join(['50.0 (50.0 to 50.0)'] * 6) + ' |',
    ]


def test_finished_runs_are_not_trained_again(tmp_path, monkeypatch, capsys):
    configs = []
    for name in 'ab':
        configs.append(tmp_path / f'{name}.py')
        configs[-1].write_text(f'train_cfg = dict(max_epochs=2)\nname = {name!r}\n')
    trained = []

    def work_dir(config, seed):
        cfg = read_config(str(config), None)
        cfg.randomness = dict(seed=seed)
        return tmp_path / f'runs/{config.stem}_seed{seed}_{hash_of(cfg)}'

    def train(cfg, work_dir):
        if not is_finished(cfg, work_dir):
            trained.append((work_dir.name.rpartition('_')[0], cfg.randomness.seed))
            write_log(work_dir, 0.4)
        return 7

    monkeypatch.setattr(compare, 'train', train)
    write_log(work_dir(configs[1], 0), 0.6)
    write_log(work_dir(configs[0], 1), 0.6, epochs=1)  # interrupted
    (work_dir(configs[0], 1) / '20260101_000000').rename(work_dir(configs[0], 1) / '20250101_000000')
    arguments = [
        *map(str, configs),
        '--seeds',
        '0',
        '1',
        '--work-dir',
        str(tmp_path / 'runs'),
        '--out',
        str(tmp_path / 'out.json'),
    ]
    compare.main(arguments)
    assert trained == [('a_seed0', 0), ('a_seed1', 1), ('b_seed1', 1)]
    rows = json.loads((tmp_path / 'out.json').read_text())
    assert [(Path(row['config']).stem, row['seed']) for row in rows] == [('a', 0), ('b', 0), ('a', 1), ('b', 1)]
    assert [row['curve'][-1]['coco/bbox_mAP'] for row in rows] == pytest.approx([40, 60, 40, 40])
    assert [row['parameters'] for row in rows] == [7] * 4
    assert '50.0 (40.0 to 60.0)' in capsys.readouterr().out

    # Only what changed is trained, here and on another machine, which has the file and no work dirs.
    trained.clear()
    (tmp_path / 'a.py').write_text('train_cfg = dict(max_epochs=2)\nlr = 1\n')
    compare.main(arguments)
    assert trained == [('a_seed0', 0), ('a_seed1', 1)]
    arguments[arguments.index(str(tmp_path / 'runs'))] = str(tmp_path / 'other')
    compare.main(arguments)
    assert len(trained) == 2
    rows = json.loads((tmp_path / 'out.json').read_text())
    assert [Path(row['config']).stem for row in rows] == ['a', 'b', 'a', 'b', 'a', 'a']  # what the file had stays
    assert '| 2 | 7 |' in capsys.readouterr().out

    (tmp_path / 'out.json').write_text('{"a": 1}')
    with pytest.raises(FishNetError, match='out.json is not a file of this command'):
        compare.main(arguments)
