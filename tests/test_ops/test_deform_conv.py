"""Deformable convolutions against loops over the taps, and against PyTorch's convolution where nothing is deformed."""

import loops
import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn import build_conv_layer
from mmcv.ops import deform_conv2d, modulated_deform_conv2d

pytestmark = pytest.mark.usefixtures('our_operators')

#: Kernel, stride, padding, dilation, groups, groups of offsets; pairs along y and x.
SETTINGS = [
    ((3, 3), (1, 1), (1, 1), (1, 1), 1, 1),
    ((3, 2), (2, 1), (0, 2), (1, 2), 2, 1),
    ((1, 3), (1, 2), (1, 0), (1, 1), 2, 4),
]


def inputs(setting, dtype=torch.float64, size=(6, 7), spread=2.0):
    """Maps, offsets, mask, weight and bias for a setting."""
    kernel, stride, padding, dilation, groups, deform_groups = setting
    rng = torch.Generator().manual_seed(0)
    sides = zip(size, kernel, stride, padding, dilation)
    out = [(side + 2 * p - d * (k - 1) - 1) // s + 1 for side, k, s, p, d in sides]
    taps = deform_groups * kernel[0] * kernel[1]
    shapes = (2, 4, *size), (2, 2 * taps, *out), (2, taps, *out), (6, 4 // groups, *kernel), (6,)
    maps, offset, mask, weight, bias = (torch.randn(shape, generator=rng, dtype=torch.float64) for shape in shapes)
    return [tensor.to(dtype) for tensor in (maps, offset * spread, mask.sigmoid(), weight, bias)]


@pytest.mark.parametrize('setting', SETTINGS)
def test_forward(setting):
    maps, offset, mask, weight, bias = inputs(setting)
    rest = setting[1:]
    expected = loops.deform_conv(maps, offset, mask, weight, bias, *rest)
    torch.testing.assert_close(modulated_deform_conv2d(maps, offset, mask, weight, bias, *rest), expected)
    one, zero = torch.ones_like(mask), torch.zeros_like(bias)
    expected = loops.deform_conv(maps, offset, one, weight, zero, *rest)
    torch.testing.assert_close(deform_conv2d(maps, offset, weight, *rest, False, 32), expected)


def test_fields_of_a_larger_map_are_read_as_mmcv_reads_them():
    """mmcv's kernel takes each image's offsets and masks as plain memory; DyHead passes those of a larger level."""
    maps, offset, mask, weight, bias = inputs(SETTINGS[0], size=(4, 5))
    _, large_offset, large_mask, *_ = inputs(SETTINGS[0], size=(8, 10))
    for large, small in ((large_offset, offset), (large_mask, mask)):
        for image in range(len(small)):
            large[image].view(-1)[: small[image].numel()] = small[image].view(-1)
    rest = SETTINGS[0][1:]
    expected = modulated_deform_conv2d(maps, offset, mask, weight, bias, *rest)
    torch.testing.assert_close(modulated_deform_conv2d(maps, large_offset, large_mask, weight, bias, *rest), expected)
    large = [large_offset.requires_grad_(), large_mask.requires_grad_()]
    modulated_deform_conv2d(maps, *large, weight, bias, *rest).sum().backward()
    small = [offset.requires_grad_(), mask.requires_grad_()]
    modulated_deform_conv2d(maps, *small, weight, bias, *rest).sum().backward()
    for one, other in zip(large, small):
        read = one.grad.flatten(1)[:, : other[0].numel()]
        torch.testing.assert_close(read, other.grad.flatten(1))
        assert not one.grad.flatten(1)[:, other[0].numel() :].any()


@pytest.mark.parametrize('setting', SETTINGS)
def test_gradients(setting):
    maps, offset, mask, weight, bias = (tensor.requires_grad_() for tensor in inputs(setting, size=(4, 5)))
    rest = setting[1:]
    assert loops.gradcheck(lambda *args: modulated_deform_conv2d(*args, *rest), (maps, offset, mask, weight, bias))
    assert loops.gradcheck(lambda *args: modulated_deform_conv2d(*args, None, *rest), (maps, offset, mask, weight))
    assert loops.gradcheck(lambda *args: deform_conv2d(*args, *rest, False, 32), (maps, offset, weight))


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('setting', SETTINGS)
def test_without_offsets_it_is_a_convolution(setting, layout):
    maps, offset, mask, weight, bias = inputs(setting, spread=0)
    maps = maps.contiguous(memory_format=layout)
    _, stride, padding, dilation, groups, _ = setting
    ours = modulated_deform_conv2d(maps, offset, torch.ones_like(mask), weight, bias, *setting[1:])
    torch.testing.assert_close(ours, F.conv2d(maps, weight, bias, stride, padding, dilation, groups))


def test_half_of_a_batch_changes_nothing():
    maps, offset, mask, weight, bias = inputs(SETTINGS[0])
    whole = modulated_deform_conv2d(maps, offset, mask, weight, bias, *SETTINGS[0][1:])
    half = modulated_deform_conv2d(maps[1:], offset[1:], mask[1:], weight, bias, *SETTINGS[0][1:])
    torch.testing.assert_close(whole[1:], half)


@pytest.mark.parametrize('dtype, tolerance', [(torch.bfloat16, 3e-2), (torch.float16, 4e-3)])
def test_half_precision(dtype, tolerance):
    tensors = [tensor.requires_grad_() for tensor in inputs(SETTINGS[0], dtype)]
    wide = [tensor.detach().float().requires_grad_() for tensor in tensors]
    output, expected = (modulated_deform_conv2d(*some, *SETTINGS[0][1:]) for some in (tensors, wide))
    assert output.dtype == dtype
    torch.testing.assert_close(output.float(), expected, rtol=tolerance, atol=tolerance * float(expected.detach().abs().max()))
    output.sum().backward()
    expected.sum().backward()
    for tensor, other in zip(tensors, wide):
        scale = float(other.grad.abs().max())
        torch.testing.assert_close(tensor.grad.float(), other.grad, rtol=tolerance, atol=2 * tolerance * scale)


@pytest.mark.parametrize('kind', ['DCN', 'DCNv2', 'SAC'])
def test_layers_of_mmcv_learn(kind):
    layer = build_conv_layer(dict(type=kind, **(dict(use_deform=True) if kind == 'SAC' else {})), 8, 8, 3, padding=1)
    x = torch.randn(2, 8, 9, 10, requires_grad=True)
    layer(x).square().sum().backward()
    moved = [parameter for name, parameter in layer.named_parameters() if 'offset' in name]
    assert x.grad.any() and layer.weight.grad.any() and any(parameter.grad.any() for parameter in moved)


@pytest.mark.parametrize('kind', ['DCN', 'DCNv2'])
def test_autocast(kind):
    layer = build_conv_layer(dict(type=kind), 8, 8, 3, padding=1)
    x = torch.randn(2, 8, 9, 10)
    with torch.autocast('cpu', torch.bfloat16):
        output = layer(x)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), layer(x), rtol=0.05, atol=0.02)
    output.float().sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in layer.parameters())
