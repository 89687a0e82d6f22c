"""The comparison of networks: that they take turns, compute what they should, and what is measured of them."""

import time
from statistics import median

import pytest
import torch
from torch import nn

from fishnet_mmdet.analysis.networks import SETTINGS
from fishnet_mmdet.analysis.peak_memory import measure_peak
from fishnet_mmdet.analysis.timing import Candidate, Case, Conditions, compare
from fishnet_mmdet.commands.benchmark import DEFAULT
from fishnet_mmdet.errors import FishNetError


@pytest.mark.parametrize('setting', SETTINGS)
@pytest.mark.parametrize('name', DEFAULT)
def test_activations_stay_finite(name, setting):
    candidate = Candidate(name, Case('train', 64, 64, 1), Conditions(setting=setting))
    ((net, image),) = candidate.parts
    assert all(out.isfinite().all() and out.std() > 1e-4 for out in net(image))


def test_layout_and_dtype():
    def inside(name, **kwargs):
        candidate = Candidate(name, Case('forward', 64, 64, 1), Conditions(**kwargs))
        ((net, x),) = candidate.parts
        seen = []
        net.conv1.register_forward_hook(lambda module, inputs, out: seen.append((inputs[0], module.weight, out)))
        candidate.step()
        return seen[0]

    for tensor in inside('resnet50@channels_last'):
        assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert all(tensor.is_contiguous() for tensor in inside('resnet50'))
    assert [tensor.dtype for tensor in inside('resnet50', dtype='float64')] == [torch.float64] * 3
    assert [tensor.dtype for tensor in inside('resnet50', dtype='bfloat16')] == [torch.float32, torch.float32, torch.bfloat16]


def test_networks_take_turns(monkeypatch):
    calls = []

    def measure_time(one):
        calls.append(('time', one.name))
        one.seconds.append(float(len(calls)))

    monkeypatch.setattr(Candidate, 'step', lambda one: calls.append(('step', one.name)))
    monkeypatch.setattr(Candidate, 'measure_time', measure_time)
    monkeypatch.setattr(Candidate, 'measure_memory', lambda one: calls.append(('memory', one.name)))
    names = ['fishnet55', 'resnet50', 'fishnet55@channels_last']
    rounds = []
    case = Case('train', 64, 64, 1)
    results = compare(names, case, Conditions(rounds=2), lambda *report: rounds.append(report))
    assert calls == [(kind, name) for kind in ('step', 'memory', 'time', 'time') for name in names]
    assert rounds == [(case, title) for title in ('warm-up', 'memory', 'round 1 of 2', 'round 2 of 2')]
    # The seventh call is the first that is timed.
    assert [row['seconds'] for row in results] == [[7, 10], [8, 11], [9, 12]]
    assert [row['ratio'] for row in results] == [1, median([8 / 7, 11 / 10]), median([9 / 7, 12 / 10])]


def test_peak_of_what_is_known():
    def call():
        torch.ones(2**22).add(1)  # 16 MiB, twice

    peak = measure_peak(call, 'cpu')
    if peak is None:
        pytest.skip('the system does not tell the peak')
    assert 31 * 2**20 < peak < 40 * 2**20


@pytest.mark.skipif(not hasattr(nn.Module, 'compile'), reason='this PyTorch compiles no modules')
def test_message_of_a_compiler(monkeypatch):
    monkeypatch.setattr('torch._inductor.config.cpp.cxx', ('/nowhere/c++',))
    with pytest.raises(FishNetError, match='fishnet55 cannot compute forward.*without --compile'):
        compare(['fishnet55'], Case('forward', 32, 32, 1), Conditions(compile=True))


def test_message_of_a_pytorch_that_does_not_compile(monkeypatch):
    monkeypatch.delattr(nn.Module, 'compile', raising=False)
    with pytest.raises(FishNetError, match='compiled networks need PyTorch 2.1 or newer'):
        compare(['fishnet55'], Case('forward', 32, 32, 1), Conditions(compile=True))


def test_time_of_what_is_known(monkeypatch):
    steps = []
    monkeypatch.setattr(Candidate, 'step', lambda one: steps.append(one.name) or time.sleep(0.01))
    candidate = Candidate('fishnet55', Case('forward', 64, 64, 1), Conditions())
    begin = time.perf_counter()
    candidate.measure_time()
    total = time.perf_counter() - begin
    # The first step does not count, and a sleep never ends early.
    assert len(steps) >= 2 and len(candidate.seconds) == 1
    assert 0.01 <= candidate.seconds[0]
    # Half of the steps take the median or longer.
    assert candidate.seconds[0] * (len(steps) - 1) / 2 <= total
