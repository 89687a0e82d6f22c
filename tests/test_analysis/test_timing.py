"""The comparison of backbones: that it compares the same networks, takes turns, and reports what it measured."""

import json
import re
import sys
from argparse import Namespace
from statistics import median

import numpy as np
import pytest
import torch
import torch.nn as nn
from conftest import REPO
from matplotlib.image import imread
from released import released_weights

from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.models.released import rename_released

sys.path.insert(0, str(REPO / 'tools'))
import benchmark  # noqa: E402
import model_stats  # noqa: E402
from benchmark import Candidate, Case  # noqa: E402

TOOL = REPO / 'tools/benchmark.py'


def arguments(**kwargs):
    return Namespace(**{**dict(dtype='float32', setting='detection', device='cpu', compile=False, rounds=2), **kwargs})


def channels_of_norms(network):
    with torch.device('meta'):
        net = model_stats.build(model_stats.NETWORKS[network], model_stats.DETECTION)
    return sum(module.num_features for module in net.modules() if isinstance(module, nn.BatchNorm2d))


def learning(net):
    """How many parameters learn, and how many BN layers learn their statistics in training."""
    net.train()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    return sum(p.numel() for p in net.parameters() if p.requires_grad), sum(norm.training for norm in norms)


def test_command(command, tmp_path):
    names = ['fishnet55', 'resnet50@channels_last', 'convolutions_fishnet55']
    out = command(TOOL, *names, '--size', '64x96', '--rounds', '3', '--json', 'times.json', '--plot', 'times.png')
    about = json.loads((tmp_path / 'times.json').read_text())
    results = about.pop('results')
    assert about['setting'] == 'detection' and about['dtype'] == 'float32' and about['rounds'] == 3
    for words in ('1 threads', 'detection, float32', f'torch {torch.__version__}', 'mmcv 2', 'mmdet 3', 'fishnet_mmdet 0'):
        assert words in out

    assert [(row['step'], row['network']) for row in results] == [(s, name) for s in ('forward', 'train') for name in names]
    header, _, *lines = (re.split(r' *\| *', line)[1:-1] for line in out.splitlines() if line.startswith('|'))
    assert header[5:] == ['ratio to FishNet-55', 'kept', 'peak']
    for i, (line, row) in enumerate(zip(lines, results)):
        first = results[i // 3 * 3]
        assert len(row['seconds']) == 3 and row['pixels'] == 64 * 96
        assert row['ratio'] == median(mine / its for mine, its in zip(row['seconds'], first['seconds']))
        assert line[:3] == ['1 x 64x96', row['step'], row['title']]
        assert float(line[3].split()[0]) == pytest.approx(1e3 * median(row['seconds']), abs=0.06)
        assert line[5] == f'{row["ratio"]:.3f}'
        assert (row['kept_bytes'] is None) == (row['step'] == 'forward' or row['network'] == names[2])
    assert len(lines) == 6
    titles = ['FishNet-55', 'ResNet-50, channels-last', 'FishNet-55, convolutions']
    assert [row['title'] for row in results[:3]] == titles

    for row, network in zip(results[3:5], ('fishnet55', 'resnet50')):
        counted = model_stats.measure(network, (64, 96))['kept_bytes']['detection']
        # Fixed BN on its own keeps two statistics a channel, which are empty in a computation.
        assert 0 <= counted - row['kept_bytes'] <= 2 * 4 * channels_of_norms(network) < 0.05 * counted
    if results[3]['peak_bytes'] is not None:
        assert results[3]['peak_bytes'] > results[3]['kept_bytes']

    assert out.count(' min left)') == 2 * (2 + 3) and '(0.0 min left)' in out
    assert imread(tmp_path / 'times.png').min() < 0.5


@pytest.mark.parametrize('setting', benchmark.SETTINGS)
def test_plain_is_the_network(setting):
    weights = released_weights(99)
    ours = benchmark.ENTRIES['fishnet99'].make(benchmark.SETTINGS[setting])
    ours.load_state_dict({key: value for key, value in rename_released(weights).items() if not key.startswith('cls_head.')})
    plain = benchmark.ENTRIES['plain_fishnet99'].make(benchmark.SETTINGS[setting])
    plain.net.load_state_dict(
        {key: value for key, value in weights.items() if not key.startswith(('fish.fish.9.3', 'fish.fish.9.4'))}
    )
    assert learning(plain) == learning(ours)
    image = torch.randn(1, 3, 64, 96)
    gradients = []
    for net in (ours.eval(), plain.eval()):
        outputs = net(image)
        torch.autograd.backward(outputs, [torch.ones_like(out) for out in outputs])
        gradients.append(sorted(p.grad.double().norm().item() for p in net.parameters() if p.grad is not None))
        if net is ours:
            expected = outputs
    assert len(outputs) == len(expected) == 4
    for out, value in zip(outputs, expected):
        torch.testing.assert_close(out, value, rtol=1e-4, atol=1e-4)
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize('setting', benchmark.SETTINGS)
@pytest.mark.parametrize('name', benchmark.DEFAULT)
def test_activations_stay_finite(name, setting):
    candidate = Candidate(name, Case('train', 64, 64, 1), arguments(setting=setting))
    ((net, image),) = candidate.parts
    assert all(out.isfinite().all() and out.std() > 1e-4 for out in net(image))


@pytest.mark.parametrize('name', ['fishnet99', 'fishnext99', 'resnet50', 'hrnet_w32'])
def test_convolutions_are_those_of_the_network(name):
    candidate = Candidate(f'convolutions_{name}', Case('train', 64, 64, 2), arguments())
    counted = [model_stats.count_multiply_adds(conv, x)[0] for conv, x in candidate.parts]
    assert sum(counted) == 2 * model_stats.measure(name, (64, 64))['multiply_adds']
    assert all(x.is_contiguous(memory_format=torch.channels_last) for _, x in candidate.parts)
    # No gradient goes to the images and through what is frozen: the stem's convolutions, and the first after them.
    without = [x.shape[1] for _, x in candidate.parts if not x.requires_grad]
    assert without[0] == 3 and len(without) < 8
    candidate.step()
    assert all(parameter.grad is None for parameter in candidate.net.parameters())


def test_layout_and_dtype():
    def inside(name, **kwargs):
        candidate = Candidate(name, Case('forward', 64, 64, 1), arguments(**kwargs))
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
    monkeypatch.setattr(Candidate, 'step', lambda one: calls.append(('step', one.name)) or float(len(calls)))
    monkeypatch.setattr(Candidate, 'measure_memory', lambda one: calls.append(('memory', one.name)))
    names = ['fishnet55', 'resnet50', 'fishnet55@channels_last']
    rounds = []
    case = Case('train', 64, 64, 1)
    results = benchmark.compare(case, arguments(networks=names), lambda *report: rounds.append(report))
    assert calls == [(kind, name) for kind in ('step', 'memory', 'step', 'step') for name in names]
    assert rounds == [(case, title) for title in ('warm-up', 'memory', 'round 1 of 2', 'round 2 of 2')]
    # The seventh call is the first that is timed.
    assert [row['seconds'] for row in results] == [[7, 10], [8, 11], [9, 12]]
    assert [row['ratio'] for row in results] == [1, median([8 / 7, 11 / 10]), median([9 / 7, 12 / 10])]


def test_peak_of_what_is_known():
    def call():
        torch.ones(2**22).add(1)  # 16 MiB, twice

    peak = benchmark.peak_of(call, 'cpu')
    if peak is None:
        pytest.skip('the system does not tell the peak')
    assert 31 * 2**20 < peak < 40 * 2**20


@pytest.fixture
def results():
    def row(name, step, side, value):
        title = benchmark.ENTRIES[name].title
        memory = dict(kept_bytes=value * 2**20 if step == 'train' else None, peak_bytes=2 * value * 2**20)
        if name.startswith('convolutions'):
            memory = dict(kept_bytes=None, peak_bytes=None)
        return dict(title=title, step=step, images=f'1 x {side}x{side}', pixels=side**2, median_seconds=value / 1e3, **memory)

    names = ['fishnet150', 'plain_fishnet150', 'hrnet_w32', 'convolutions_fishnet150']
    return [
        row(name, step, side, (i + 1) * (side / 100) ** 2)
        for side in (300, 200)
        for step in ('forward', 'train')
        for i, name in enumerate(names)
    ]


ABOUT = dict(machine='a machine', setting='detection', dtype='float32', versions='torch 9')


def panels(figure):
    figure.draw_without_rendering()
    assert 'a machine; detection, float32; torch 9' in [text.get_text() for text in figure.texts]
    return {ax.get_title(): ax for ax in figure.axes}


def test_figure_of_several_sizes(results):
    figure = benchmark.draw(results, ABOUT)
    axes = panels(figure)
    assert list(axes) == [
        'forward: time of a step',
        'forward: peak of memory',
        'train: time of a step',
        'train: peak of memory',
        'train: kept for the backward pass',
    ]
    time, kept = axes['train: time of a step'], axes['train: kept for the backward pass']
    assert time.get_xscale() == time.get_yscale() == 'log' and time.get_ylabel() == 'ms' and kept.get_ylabel() == 'MiB'
    lines = {line.get_label(): line.get_xydata() for line in time.lines}
    assert lines['HRNet-W32'] == pytest.approx(np.array([[0.04, 12], [0.09, 27]]))
    assert [len(line.get_xydata()) for line in kept.lines] == [2, 2, 2, 0]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == list(lines) and len(lines) == 4
    assert len({(tuple(line.get_color()), line.get_linestyle()) for line in time.lines}) == 4
    assert not any(legend.get_window_extent().overlaps(ax.get_tightbbox()) for ax in figure.axes)


def test_figure_of_one_size(results):
    axes = panels(benchmark.draw([row for row in results if row['pixels'] == 200**2 and row['step'] == 'train'], ABOUT))
    time, peak, kept = axes.values()
    assert [label.get_text() for label in time.get_yticklabels()][:2] == ['FishNet-150', 'FishNet-150, plain']
    assert [bar.get_width() for bar in time.patches] == pytest.approx([4, 8, 12, 16])
    assert [bar.get_width() for bar in peak.patches] == pytest.approx([8, 16, 24])
    assert [text.get_text() for text in kept.texts] == ['4.0', '8.0', '12.0']


@pytest.mark.parametrize(
    'words, message',
    [
        (['fishnet100'], ["'fishnet100'", 'fishnet55, fishnet77', 'plain_fishnet150', 'convolutions_resnet50']),
        (['fishnet55@nhwc'], ["'nhwc'", 'fishnet55@channels_last']),
        (['fishnet55', '--size', '64x64', '800'], ['--size', '800x1344', '64x64 800']),
        (['fishnet55', '--size', '0x64'], ['--size', '0x64']),
        (['fishnet55', '--batch', '2', '0'], ['--batch is 1 or more, not 0']),
        (['fishnet55', '--rounds', '0'], ['--rounds is 1 or more, not 0']),
        (['fishnet55', '--threads', '-1'], ['--threads is 1 or more, not -1']),
        (['fishnet55', '--device', 'cuda'], ['no CUDA device', '--device cpu']),
        (['fishnet55', '--json', 'no_folder/times.json'], ['no_folder/times.json', '--json']),
        (['fishnet55', '--plot', 'no_folder/times.png'], ['no_folder/times.png', '--plot']),
        (['fishnet55', '--plot', 'times.xyz'], ['times.xyz', '--plot', '.png']),
        (['hrnet_w32', '--size', '100x100'], ['hrnet_w32', 'forward, 1 x 100x100', 'multiples of 32']),
        (['fishnet55', '--size', '1000000x1000000'], ['fishnet55', '1 x 1000000x1000000', 'memory is short']),
        (['pytorchcv_fishnet99'], ['pytorchcv_fishnet99', 'pip install pytorchcv']),
    ],
)
def test_messages(monkeypatch, tmp_path, words, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.setitem(sys.modules, 'pytorchcv', None)
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *words])
    with pytest.raises(FishNetError) as error:
        benchmark.main()
    for part in message:
        assert part in str(error.value)
    assert '\n' not in str(error.value)


def test_message_without_the_tests(monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark, 'TESTS', tmp_path)
    with pytest.raises(FishNetError, match='plain_fishnet99 needs .*released.py.* whole checkout'):
        Candidate('plain_fishnet99', Case('forward', 64, 64, 1), arguments())


def test_message_of_a_compiler(monkeypatch):
    monkeypatch.setattr('torch._inductor.config.cpp.cxx', ('/nowhere/c++',))
    with pytest.raises(FishNetError, match='fishnet55 cannot compute forward.*without --compile'):
        benchmark.compare(Case('forward', 32, 32, 1), arguments(networks=['fishnet55'], compile=True), print)


def test_one_line_and_no_trace(refusal):
    assert refusal(TOOL, 'plain_fishnet99', '--size', '90x90').count('\n') == 1
