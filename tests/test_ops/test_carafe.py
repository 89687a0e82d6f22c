"""CARAFE, which mmcv has no CPU kernel for, against loops over the pixels."""

import loops
import pytest
import torch
from mmcv.ops import CARAFEPack, carafe, carafe_naive

pytestmark = pytest.mark.usefixtures('our_operators')

#: Kernel, groups, scale.
SETTINGS = [(1, 1, 1), (3, 1, 2), (3, 2, 2), (5, 4, 3)]


def inputs(kernel, groups, scale, dtype=torch.float64):
    rng = torch.Generator().manual_seed(0)
    features = torch.randn(2, 4, 3, 4, generator=rng, dtype=torch.float64)
    masks = torch.randn(2, groups * kernel * kernel, 3 * scale, 4 * scale, generator=rng, dtype=torch.float64)
    return features.to(dtype), masks.to(dtype)


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('function', [carafe, carafe_naive])
@pytest.mark.parametrize('setting', SETTINGS)
def test_forward(setting, function, layout):
    features, masks = (tensor.contiguous(memory_format=layout) for tensor in inputs(*setting))
    torch.testing.assert_close(function(features, masks, *setting), loops.carafe(features, masks, *setting))


@pytest.mark.parametrize('setting', SETTINGS)
def test_gradient(setting):
    """mmcv's own wrapper of carafe_naive refuses gradients on the CPU; both have the same function behind them."""
    features, masks = (tensor.requires_grad_() for tensor in inputs(*setting))
    assert loops.gradcheck(lambda features, masks: carafe(features, masks, *setting), (features, masks))


def test_bfloat16():
    features, masks = inputs(3, 2, 2, torch.bfloat16)
    output = carafe(features, masks, 3, 2, 2)
    assert torch.equal(output, carafe(features.float(), masks.float(), 3, 2, 2).bfloat16())


def test_the_layer_of_mmcv_learns():
    layer = CARAFEPack(8, 2)
    x = torch.randn(1, 8, 5, 6, requires_grad=True)
    output = layer(x)
    assert output.shape == (1, 8, 10, 12)
    output.square().sum().backward()
    assert x.grad.any() and all(parameter.grad.any() for parameter in layer.parameters())
