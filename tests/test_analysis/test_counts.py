"""What the command counts, against numbers from elsewhere, and the figure it draws."""

import json
import runpy

import pytest
import torch
import torch.nn as nn
from conftest import REPO
from matplotlib.image import imread
from mmdet.registry import MODELS

from fishnet_mmdet.errors import FishNetError

TOOL = REPO / 'tools/model_stats.py'


@pytest.fixture(scope='module')
def tool():
    return runpy.run_path(str(TOOL))


@pytest.fixture(scope='module')
def measured(tool):
    """Measures a network once."""
    rows = {}

    def measure(name):
        if name not in rows:
            rows[name] = tool['measure'](name)
        return rows[name]

    return measure


@pytest.mark.parametrize(
    'name, parameters, with_score',
    [
        ('fishnet99', 13_335_296, 16_628_904),
        ('fishnet150', 21_665_792, 24_959_400),
        ('fishnet201', 41_290_944, 44_584_552),
    ],
)
def test_released_depths(measured, name, parameters, with_score):
    row = measured(name)
    assert (row['parameters'], row['parameters_with_score']) == (parameters, with_score)
    # The score's two 1x1 convolutions: one on 7x7, one on what is left of it after pooling.
    assert row['multiply_adds_with_score'] - row['multiply_adds'] == 2112 * 1056 * 7 * 7 + 1056 * 1000
    assert row['outputs'] == [[320, 56, 56], [832, 28, 28], [1600, 14, 14], [2112, 7, 7]]


@pytest.mark.parametrize(
    'name, parameters, giga',
    [
        # As torchvision publishes them for the same networks.
        ('resnet50', 25_557_032, 4.09),
        ('resnet101', 44_549_160, 7.80),
        ('resnext50_32x4d', 25_028_904, 4.23),
    ],
)
def test_baselines(measured, name, parameters, giga):
    row = measured(name)
    assert row['parameters_with_score'] == parameters
    assert row['multiply_adds_with_score'] / 1e9 == pytest.approx(giga, abs=0.005)


@pytest.mark.parametrize(
    'name, giga',
    [
        ('fishnet99', 4.288),
        ('fishnet150', 6.432),
        ('fishnet201', 10.559),
        ('resnet50', 4.11),
        ('resnet101', 7.83),
        ('resnext50_32x4d', 4.26),
        ('hrnet_w32', 7.93),
    ],
)
def test_counters_that_add_norms(tool, measured, name, giga):
    """Published counts of another kind: they add twice the elements of each BN, and those that are up-sampled."""
    norms = []
    with torch.device('meta'):
        net = MODELS.build(tool['NETWORKS'][name].backbone)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.register_forward_hook(lambda module, inputs, _: norms.append(inputs[0].numel()))
        net.eval()
        net(torch.empty(1, 3, 224, 224))
    row = measured(name)
    assert (row['parameters_with_score'] is None) == (name == 'hrnet_w32')
    counted = (row['multiply_adds_with_score'] or row['multiply_adds']) + 2 * sum(norms)
    if name.startswith('fishnet'):
        counted += 2 * (2112 + 1056) * 7 * 7 + 512 * 14 * 14 + 384 * 28 * 28 + 256 * 56 * 56
    assert round(counted / 1e9, 3 if name.startswith('fishnet') else 2) == giga


def test_fishnext(measured):
    assert round(measured('fishnext150')['parameters_with_score'] / 1e6, 2) == 25.74


def test_every_variant_is_there(tool):
    fishes = {'fishnet55', 'fishnet77', 'fishnet99', 'fishnet150', 'fishnet201', 'fishnext99', 'fishnext150', 'fishnext201'}
    assert fishes < set(tool['NETWORKS'])


def test_size_and_batch(tool):
    small, large = (tool['measure']('fishnet55', size, batch) for size, batch in [((32, 64), 1), ((64, 128), 2)])
    assert large['outputs'] == [[32, 64, 128], [80, 32, 64], [112, 16, 32]]
    assert large['parameters'] == small['parameters']
    # For one image, except for the bridge's attention and the norms' scales, which are of one pixel whatever the size.
    assert large['multiply_adds'] / small['multiply_adds'] == pytest.approx(4, rel=1e-3)
    assert large['kept_bytes']['detection'] / small['kept_bytes']['detection'] == pytest.approx(8, rel=3e-3)


@pytest.mark.parametrize(
    'layers, kept',
    [
        # The image, 3x8x8, for the weights; ReLU keeps its result, 4x8x8.
        ([nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()], 4 * (192 + 256)),
        # What ReLU puts out is what the next convolution takes: kept once.
        ([nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1)], 4 * (192 + 256)),
        # BN that learns keeps what comes in, and mean and deviation of each channel; not its running statistics.
        ([nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)], 4 * (192 + 256 + 2 * 4)),
        # The positions of the maxima are 8 bytes each.
        ([nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2)], 4 * (192 + 256) + 8 * 64),
    ],
)
@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_what_is_kept(tool, device, layers, kept):
    net = nn.Sequential(*layers).to(device)
    assert tool['kept_for_backward'](net, torch.empty(1, 3, 8, 8, device=device)) == kept


@pytest.mark.parametrize('name', ['fishnet99', 'resnet50'])
def test_counts_are_those_of_a_computation(tool, name):
    row = tool['measure'](name, (64, 64))
    net, image = tool['build'](tool['NETWORKS'][name], tool['DETECTION']), torch.rand(1, 3, 64, 64)
    assert sum(tensor.numel() for tensor in net.parameters()) == row['parameters']
    operations, features = tool['count_multiply_adds'](net, image)
    assert operations == row['multiply_adds']
    assert [list(feature.shape[1:]) for feature in features] == row['outputs']
    # A fixed BN outside of FishNet keeps two statistics, which are empty in a computation, and have their size without one.
    statistics = 2 * 4 * sum(module.num_features for module in net.modules() if isinstance(module, nn.BatchNorm2d))
    assert 0 <= row['kept_bytes']['detection'] - tool['kept_for_backward'](net, image) <= statistics


def test_frozen_layers_keep_nothing_and_fixed_norms_as_much(measured):
    kept = {name: measured(name)['kept_bytes'] for name in ('fishnet150', 'resnet50', 'hrnet_w32')}
    for name in ('fishnet150', 'resnet50'):
        # The stem's first convolution alone has 32 (FishNet) or 64 channels at 112x112.
        assert kept[name]['pretraining'] - kept[name]['detection'] > 4 * 32 * 112 * 112
    assert kept['hrnet_w32']['detection'] == pytest.approx(kept['hrnet_w32']['pretraining'], rel=1e-3)


def test_command(command, tmp_path):
    out = command(TOOL, 'fishnet99', 'fishnet55', '--json', 'counts.json', '--figure', 'figure.png')
    lines = out[out.index('| network') :].splitlines()
    assert '13,335,296' in lines[2] and '16,628,904' in lines[2] and '4.264 G' in lines[2] and '2112x7x7' in lines[2]
    assert lines[3].startswith('| FishNet-55')
    assert 'convolutions and matrix products' in out
    rows = json.loads((tmp_path / 'counts.json').read_text())
    assert [row['network'] for row in rows] == ['fishnet99', 'fishnet55']
    assert rows[0]['published_top1_error'] == 22.59 and rows[1]['published_top1_error'] is None
    assert rows[0]['parameters_with_score'] == 16_628_904
    assert imread(tmp_path / 'figure.png').min() < 0.5


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['fishnet100'], ["'fishnet100'", 'fishnet55, fishnet77, fishnet99', 'hrnet_w32']),
        (['fishnet99', '--size', '0', '224'], ['0 224', '1 or more']),
        (['fishnet99', '--batch', '-1'], ['-1', '1 or more']),
        (['hrnet_w32', '--size', '100', '100'], ['hrnet_w32', '100x100', 'multiples of 32']),
        (['fishnet99', '--size', '32', '32'], ['fishnet99', '32x32', '64 at least']),
        (['fishnet55', '--figure', 'figure.png'], ['no', 'published', 'fishnet99, fishnet150']),
        (['resnet50', '--size', '64', '64', '--figure', 'figure.png'], ['224x224', '--size']),
        (['resnet50', '--figure', 'no_folder/figure.png'], ['no_folder/figure.png', '--figure', '.png']),
        (['resnet50', '--json', 'no_folder/counts.json'], ['no_folder/counts.json', '--json']),
    ],
)
def test_messages(tool, monkeypatch, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('sys.argv', [str(TOOL), *arguments])
    with pytest.raises(FishNetError) as error:
        tool['main']()
    for word in words:
        assert word in str(error.value)


def test_figure(tool, measured):
    rows = [measured(name) for name in tool['ERRORS']]
    figure = tool['draw_errors'](rows)
    figure.draw_without_rendering()
    parameters, operations = figure.axes
    row = measured('fishnet99')
    for ax, x in ((parameters, 16.628904), (operations, row['multiply_adds_with_score'] / 1e9)):
        assert any(line.get_xydata()[0] == pytest.approx([x, 22.59]) for line in ax.lines)
        assert {text.get_text() for text in ax.texts} >= {'FishNet-150', 'FishNeXt-150', 'ResNet-101', 'DenseNet-161'}
        boxes = [text.get_window_extent() for text in ax.texts]
        assert len(boxes) == len(rows) + 4
        for i, box in enumerate(boxes):
            assert ax.bbox.count_contains(box.corners()) == 4, ax.texts[i]
            assert box.count_overlaps(boxes) == 1, ax.texts[i]
    title, footnote = figure.texts
    for text in (title, footnote):
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(ax.get_tightbbox()) for ax in figure.axes)
    for source in ('released', 'Table 1', 'section 4.2', 'torchvision'):
        assert source in footnote.get_text()
