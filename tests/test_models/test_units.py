"""The building blocks against the paper's equations, written out with numpy."""

import numpy as np
import pytest
import torch
import torch.nn as nn
from released import fill_by_rule

from fishnet_mmdet.models.fish import Stage
from fishnet_mmdet.models.units import ChannelReduction, Options, ResidualUnit, Shortcut, refine_units, transfer_units

OPTIONS = Options(dict(type='BN'))


def filled(module):
    """The module in evaluation mode and float64, with weights and statistics that are not the initial ones."""
    module.load_state_dict(fill_by_rule((name, tuple(tensor.shape)) for name, tensor in module.state_dict().items()))
    return module.double().eval()


def equation_8(x, k):
    reduced = np.zeros((x.shape[0], x.shape[1] // k, *x.shape[2:]))
    for n in range(reduced.shape[1]):
        for j in range(k):
            reduced[:, n] += x[:, k * n + j]
    return reduced


def norm_relu(x, weights, norm):
    weight, bias, mean, var = (
        weights[f'{norm}.{kind}'].reshape(1, -1, 1, 1) for kind in ('weight', 'bias', 'running_mean', 'running_var')
    )
    return np.maximum((x - mean) / np.sqrt(var + 1e-5) * weight + bias, 0)


def convolve(x, kernel, dilation=1):
    """Convolution with as much padding as keeps the size, tap by tap."""
    height, width = x.shape[-2:]
    reach = dilation * (kernel.shape[-1] // 2)
    x = np.pad(x, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    return sum(
        np.einsum(
            'oc,nchw->nohw',
            kernel[:, :, i, j],
            x[:, :, i * dilation : i * dilation + height, j * dilation : j * dilation + width],
        )
        for i in range(kernel.shape[-2])
        for j in range(kernel.shape[-1])
    )


@pytest.mark.parametrize('k', [1, 2, 3, 12])
def test_channel_reduction_is_equation_8(k):
    x = np.random.RandomState(k).standard_normal((2, 12, 3, 5))
    reduced = ChannelReduction(k)(torch.from_numpy(x)).numpy()
    assert reduced.shape == (2, 12 // k, 3, 5)
    np.testing.assert_allclose(reduced, equation_8(x, k), rtol=0, atol=1e-13)
    assert f'k={k}' in repr(ChannelReduction(k))


@pytest.mark.parametrize(
    'c_in, c_out, reduce, shortcut',
    [
        (8, 8, False, nn.Identity),
        (8, 8, True, nn.Identity),
        (8, 16, False, Shortcut),
        (24, 8, False, Shortcut),
        (24, 8, True, ChannelReduction),
    ],
)
@pytest.mark.parametrize('dilation', [1, 2])
def test_residual_unit_as_written_out(c_in, c_out, reduce, shortcut, dilation):
    unit = filled(ResidualUnit(c_in, c_out, OPTIONS, dilation=dilation, reduce=reduce))
    assert type(unit.shortcut) is shortcut
    weights = {name: tensor.numpy() for name, tensor in unit.state_dict().items()}
    x = np.random.RandomState(0).standard_normal((2, c_in, 6, 7))

    expected = convolve(norm_relu(x, weights, 'norm1'), weights['conv1.weight'])
    assert expected.shape[1] == c_out // 4
    expected = convolve(norm_relu(expected, weights, 'norm2'), weights['conv2.weight'], dilation)
    expected = convolve(norm_relu(expected, weights, 'norm3'), weights['conv3.weight'])
    if shortcut is Shortcut:
        expected += convolve(norm_relu(x, weights, 'shortcut.norm'), weights['shortcut.conv.weight'])
    else:
        expected += equation_8(x, c_in // c_out)
    with torch.no_grad():
        np.testing.assert_allclose(unit(torch.from_numpy(x)).numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize('c_in, reduce', [(8, False), (8, True), (24, True)])
@torch.no_grad()
def test_shortcut_has_no_weights_where_it_need_not(c_in, reduce):
    unit = filled(ResidualUnit(c_in, 8, OPTIONS, reduce=reduce))
    unit.conv3.weight.zero_()
    x = torch.rand(2, c_in, 4, 4, dtype=torch.float64)
    np.testing.assert_allclose(unit(x).numpy(), equation_8(x.numpy(), c_in // 8), rtol=0, atol=1e-13)
    assert not [name for name in unit.state_dict() if name.startswith('shortcut')]


def test_convolutions_of_a_unit_have_no_bias():
    unit = ResidualUnit(8, 16, OPTIONS)
    assert all(module.bias is None for module in unit.modules() if isinstance(module, nn.Conv2d))


@pytest.mark.parametrize('reduce, first', [(True, ChannelReduction), (False, Shortcut)])
def test_only_the_first_unit_of_a_stage_changes_the_channels(reduce, first):
    stage = Stage(1, in_channels=24, out_channels=8, units=3, dilation=2, skip_channels=12, transfers=2)
    row = refine_units(stage, OPTIONS, reduce=reduce)
    assert [type(unit.shortcut) for unit in row] == [first, nn.Identity, nn.Identity]
    assert [unit.conv1.in_channels for unit in row] == [24, 8, 8]
    assert [unit.conv2.dilation for unit in row] == [(2, 2)] * 3
    assert row(torch.rand(2, 24, 3, 5)).shape == (2, 8, 3, 5)


def test_transfer_keeps_the_channels_and_is_not_dilated():
    stage = Stage(1, in_channels=24, out_channels=8, units=3, dilation=2, skip_channels=12, transfers=2)
    row = transfer_units(stage, OPTIONS)
    assert [type(unit.shortcut) for unit in row] == [nn.Identity, nn.Identity]
    assert [unit.conv2.dilation for unit in row] == [(1, 1)] * 2
    assert row(torch.rand(2, 12, 3, 5)).shape == (2, 12, 3, 5)
