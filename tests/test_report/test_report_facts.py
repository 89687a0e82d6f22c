"""What a page says of the run: command, checkpoint, curves of the training."""

import json
import sys

import numpy as np
import pytest
from mmengine.config import Config

from fishnet_mmdet.report.facts import POINTS, facts_of, thinned, training_curves


@pytest.mark.parametrize(
    'argv, command',
    [
        (['tools/test.py', 'a b.py', 'x.pth'], "python tools/test.py 'a b.py' x.pth"),
        (['python -m fishnet_mmdet test', 'test', 'a.py', 'x.pth'], 'python -m fishnet_mmdet test a.py x.pth'),
    ],
)
def test_command_and_checkpoint(argv, command, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, 'argv', argv)
    file = tmp_path / 'x.pth'
    file.write_bytes(b'abc')
    facts = facts_of(Config(dict(model=dict(type='X'))), str(file))
    rows = dict(facts['rows'])
    assert rows['Command'] == command and "type='X'" in facts['config']
    # FIPS 180's example.
    assert rows['SHA-256 of the checkpoint'] == 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    assert all(name in rows['Versions'] for name in ('fishnet_mmdet', 'torch', 'mmdet', 'Python'))
    assert 'SHA-256 of the checkpoint' not in dict(facts_of(Config(), 'https://x.org/x.pth')['rows'])


def test_curves_lie_beside_the_checkpoint(tmp_path):
    file = tmp_path / '20240101_000000/vis_data/scalars.json'
    file.parent.mkdir(parents=True)
    records = [dict(loss=float(step), loss_cls=1.0, step=step, epoch=1) for step in range(1, 4)]
    records += [dict(loss=float('nan'), step=4, epoch=1), {'coco/bbox_mAP': 0.5, 'coco/bbox_mAP_50': 0.75, 'step': 1}]
    file.write_text(''.join(json.dumps(record) + '\n' for record in records))
    curves = training_curves(str(tmp_path / 'epoch_1.pth'))
    assert [(curve['name'], curve['points']) for curve in curves['losses']] == [
        ('total loss', [(1, 1), (2, 2), (3, 3)]),
        ('loss_cls', [(1, 1), (2, 1), (3, 1)]),
    ]
    assert [(curve['name'], curve['last']) for curve in curves['scores']] == [('bbox AP', '0.500'), ('bbox AP50', '0.750')]
    assert curves['note'] == ''
    file.write_text('broken\n' + file.read_text())
    assert 'line 1' in training_curves(str(tmp_path / 'epoch_1.pth'))['note']
    assert str(tmp_path / 'no') in training_curves(str(tmp_path / 'no/epoch_1.pth'))['note']


def test_long_curves_are_thinned():
    """The points are means of neighbours: the mean of all stays."""
    points = [(step, np.sin(step / 500) + 2) for step in range(1, 4001)]
    few = np.array(thinned(points))
    assert len(few) == POINTS and (np.diff(few[:, 0]) > 0).all()
    np.testing.assert_allclose(few.mean(axis=0), np.mean(points, axis=0), rtol=1e-4)
    np.testing.assert_allclose(few[:, 1], np.sin(few[:, 0] / 500) + 2, atol=1e-3)
    assert thinned([(1, float('inf'))]) == []
