"""Counted costs, against published numbers and against what autograd and the modules do."""

import pytest
import torch
import torch.nn as nn
from conftest import REPO
from mmdet.registry import MODELS

from fishnet_mmdet.analysis.counts import FlopCounterMode, count_costs, count_multiply_adds, count_saved_bytes
from fishnet_mmdet.analysis.networks import NETWORKS, build

pytestmark = pytest.mark.skipif(FlopCounterMode is None, reason='torch counts operations from 2.1 on')


@pytest.fixture(scope='module')
def measured():
    """Measures a network once."""
    rows = {}

    def measure(name):
        if name not in rows:
            rows[name] = count_costs(name)
        return rows[name]

    return measure


@pytest.mark.parametrize(
    'name, parameters, with_head',
    [
        ('fishnet99', 13_335_296, 16_628_904),
        ('fishnet150', 21_665_792, 24_959_400),
        ('fishnet201', 41_290_944, 44_584_552),
    ],
)
def test_released_depths(measured, name, parameters, with_head):
    row = measured(name)
    assert (row['parameters'], row['parameters_with_head']) == (parameters, with_head)
    # The head's two 1x1 convolutions: one on 7x7, one on what is left of it after pooling.
    assert row['multiply_adds_with_head'] - row['multiply_adds'] == 2112 * 1056 * 7 * 7 + 1056 * 1000
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
    assert row['parameters_with_head'] == parameters
    assert row['multiply_adds_with_head'] / 1e9 == pytest.approx(giga, abs=0.005)


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
def test_counters_that_add_norms(measured, name, giga):
    """Some published counts add twice the elements of each BN, and those that are up-sampled. We count neither."""
    norms = []
    with torch.device('meta'):
        net = MODELS.build(NETWORKS[name].backbone)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.register_forward_hook(lambda module, inputs, _: norms.append(inputs[0].numel()))
        net.eval()
        net(torch.empty(1, 3, 224, 224))
    row = measured(name)
    assert (row['parameters_with_head'] is None) == (name == 'hrnet_w32')
    counted = (row['multiply_adds_with_head'] or row['multiply_adds']) + 2 * sum(norms)
    if name.startswith('fishnet'):
        counted += 2 * (2112 + 1056) * 7 * 7 + 512 * 14 * 14 + 384 * 28 * 28 + 256 * 56 * 56
    assert round(counted / 1e9, 3 if name.startswith('fishnet') else 2) == giga


def test_fishnext(measured):
    assert round(measured('fishnext150')['parameters_with_head'] / 1e6, 2) == 25.74


def test_every_variant_is_there():
    fishes = {'fishnet55', 'fishnet77', 'fishnet99', 'fishnet150', 'fishnet201', 'fishnext99', 'fishnext150', 'fishnext201'}
    assert fishes < set(NETWORKS)


def test_size_and_batch():
    small, large = (count_costs('fishnet55', size, batch) for size, batch in [((32, 64), 1), ((64, 128), 2)])
    assert large['outputs'] == [[32, 64, 128], [80, 32, 64], [112, 16, 32]]
    assert large['parameters'] == small['parameters']
    # For one image, except for the bridge's attention and the norms' scales, which are of one pixel whatever the size.
    assert large['multiply_adds'] / small['multiply_adds'] == pytest.approx(4, rel=1e-3)
    assert large['saved_bytes']['detection'] / small['saved_bytes']['detection'] == pytest.approx(8, rel=3e-3)


@pytest.mark.parametrize(
    'layers, saved',
    [
        # The image, 3x8x8, for the weights; ReLU keeps its result, 4x8x8.
        ([nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()], 4 * (192 + 256)),
        # What ReLU puts out is what the next convolution takes: kept once.
        ([nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1)], 4 * (192 + 256)),
        # BN that is trained saves its input, and mean and deviation of each channel; not its running statistics.
        ([nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)], 4 * (192 + 256 + 2 * 4)),
        # The positions of the maxima are 8 bytes each.
        ([nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2)], 4 * (192 + 256) + 8 * 64),
    ],
)
@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_saved_bytes(device, layers, saved):
    net = nn.Sequential(*layers).to(device)
    assert count_saved_bytes(net, torch.empty(1, 3, 8, 8, device=device)) == saved


@pytest.mark.parametrize('name', ['fishnet99', 'resnet50'])
def test_counts_are_those_of_a_computation(name):
    row = count_costs(name, (64, 64))
    net, image = build(NETWORKS[name], 'detection'), torch.rand(1, 3, 64, 64)
    assert sum(tensor.numel() for tensor in net.parameters()) == row['parameters']
    operations, features = count_multiply_adds(net, image)
    assert operations == row['multiply_adds']
    assert [list(feature.shape[1:]) for feature in features] == row['outputs']
    # A frozen BN outside of FishNet keeps two statistics, which are empty in a computation, and have their size without one.
    statistics = 2 * 4 * sum(module.num_features for module in net.modules() if isinstance(module, nn.BatchNorm2d))
    assert 0 <= row['saved_bytes']['detection'] - count_saved_bytes(net, image) <= statistics


def test_frozen_layers_keep_nothing_and_fixed_norms_as_much(measured):
    kept = {name: measured(name)['saved_bytes'] for name in ('fishnet150', 'resnet50', 'hrnet_w32')}
    for name in ('fishnet150', 'resnet50'):
        # The stem's first convolution alone has 32 (FishNet) or 64 channels at 112x112.
        assert kept[name]['pretraining'] - kept[name]['detection'] > 4 * 32 * 112 * 112
    assert kept['hrnet_w32']['detection'] == pytest.approx(kept['hrnet_w32']['pretraining'], rel=1e-3)


def test_backbone_of_a_config():
    """The candidate for FishNeXt-229 is in no table; its config says the units, and so 3 * 73 + 10 layers."""
    config = str(next(REPO.glob('configs/**/mask_rcnn_fishnext229_fpn.py')))
    row = count_costs(config, (64, 64))
    assert row['outputs'] == [[320, 16, 16], [832, 8, 8], [1600, 4, 4], [2112, 2, 2]]
    with torch.device('meta'):
        net = MODELS.build(dict(type='FishNeXt', depth=201))
    # More units of the same channels than FishNeXt-201.
    assert row['parameters'] > sum(parameter.numel() for parameter in net.parameters())
    own = count_costs(str(REPO / 'configs/mask_rcnn_fishnet150_fpn.py'), (64, 64))
    named = count_costs('fishnet150', (64, 64))
    assert {**own, 'network': '', 'title': ''} == {**named, 'network': '', 'title': ''}
