"""Pretrained weights for images of other than three channels."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from fishnet_mmdet.checkpoints import FishNetPretrained
from fishnet_mmdet.checkpoints.first_convolution import FIRST, adapt


@pytest.fixture
def weight():
    return torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).float()


def adapted(weight, channels):
    return adapt({FIRST: weight}, {FIRST: torch.empty(weight.shape[0], channels, *weight.shape[2:])})[FIRST]


def test_one_channel_gets_the_sum(weight):
    torch.testing.assert_close(adapted(weight, 1), weight.sum(1, keepdim=True))


@pytest.mark.parametrize('channels', [6, 9, 12])
def test_multiples_are_repeated_and_scaled(weight, channels):
    times = channels // 3
    torch.testing.assert_close(adapted(weight, channels), weight.repeat(1, times, 1, 1) / times)


@pytest.mark.parametrize('channels', [1, 2, 3, 4, 5, 7, 13])
def test_a_grey_image_gets_the_same_response(weight, channels):
    grey = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    before = conv2d(grey.repeat(1, 3, 1, 1), weight)
    torch.testing.assert_close(conv2d(grey.repeat(1, channels, 1, 1), adapted(weight, channels)), before, rtol=1e-5, atol=1e-5)


def test_nothing_else_is_adapted(weight):
    given = {FIRST: weight, 'a': weight}
    for shape in [(4, 3, 3, 3), (5, 1, 3, 3), (4, 1, 5, 5)]:
        assert adapt(given, {FIRST: torch.empty(shape)}) is given
    assert adapt({'a': weight}, {FIRST: torch.empty(4, 1, 3, 3)}) == {'a': weight}
    unusual = {FIRST: weight.unsqueeze(0)}
    assert adapt(unusual, {FIRST: torch.empty(4, 1, 3, 3)}) is unusual
    assert adapt({FIRST: weight, 'a': weight}, {FIRST: torch.empty(4, 1, 3, 3)})['a'] is weight


@pytest.mark.parametrize('channels', [1, 4])
def test_a_network_for_other_images_loads_them_and_says_so(channels, small_net, tmp_path, mmengine_log):
    weights = small_net().state_dict()
    torch.save(weights, tmp_path / 'x.pth')
    net = small_net()
    net.stem.conv1 = nn.Conv2d(channels, net.stem.conv1.out_channels, 3, 2, 1, bias=False)
    FishNetPretrained(str(tmp_path / 'x.pth'))(net)
    torch.testing.assert_close(net.stem.conv1.weight.sum(1), weights[FIRST].sum(1), rtol=1e-5, atol=1e-6)
    for name, tensor in net.state_dict().items():
        assert name == FIRST or torch.equal(tensor, weights[name])
    assert f'takes 3 channels and was adapted to {channels}' in mmengine_log.text
