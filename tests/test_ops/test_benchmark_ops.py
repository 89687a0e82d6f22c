"""The benchmark of the operators: which of them it times, and what it says without compiled ones."""

import sys
from types import ModuleType

import mmcv.ops
import pytest
import torch

from fishnet_mmdet.analysis import operators
from fishnet_mmdet.analysis.operators import compare
from fishnet_mmdet.commands.benchmark_ops import main
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.ops import OPERATORS

BOXES, SCORES = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 8]]), torch.tensor([0.5, 0.6])


def step():
    return mmcv.ops.nms(BOXES, SCORES, 0.5)


def test_each_round_times_both(monkeypatch):
    """The stand-in for the compiled operators counts its calls: one to see that it works, one to warm up, three rounds."""
    calls = []
    fake = ModuleType('mmcv._ext')
    fake.nms = lambda *args, **kwargs: calls.append(1) or OPERATORS['nms'](*args, **kwargs)
    monkeypatch.setattr(operators, 'compiled', lambda: fake)
    before = sys.modules['mmcv.ops.nms'].ext_module
    result = compare(step, rounds=3)
    assert len(calls) == 5
    assert result['ours'] > 0 and result['compiled'] > 0 and result['ratio'] > 0
    assert sys.modules['mmcv.ops.nms'].ext_module is before


def test_an_operator_that_mmcv_has_not_for_the_device(monkeypatch):
    def missing(*args, **kwargs):
        raise RuntimeError('nms_impl: implementation for device cpu not found.')

    fake = ModuleType('mmcv._ext')
    fake.nms = missing
    monkeypatch.setattr(operators, 'compiled', lambda: fake)
    result = compare(step, rounds=1)
    assert result['ours'] > 0 and result['compiled'] is None and result['ratio'] is None


def test_command(capsys):
    main(['nms, 500 boxes', 'nms match*', '--rounds', '1'])
    out = capsys.readouterr().out
    assert 'threads; torch' in out
    assert '| nms, 500 boxes' in out and '| nms match, 1000 boxes' in out and 'RoIAlign' not in out


@pytest.mark.parametrize(
    'arguments, message', [(['nmss'], "no case matches 'nmss'"), (['--rounds', '0'], '--rounds must be .* at least 1')]
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(FishNetError, match=message):
        main(arguments)
