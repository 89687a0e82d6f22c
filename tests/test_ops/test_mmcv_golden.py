"""The operators against mmcv's compiled ones.

tests/data/ops_mmcv.npz holds what mmcv 2.1.0, compiled for the CPU with torch 2.13.0, computes for the inputs that the
functions here make.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.ops import deform_conv2d, modulated_deform_conv2d, nms, nms_match, roi_align, soft_nms
from numpy.random import RandomState

pytestmark = pytest.mark.usefixtures('our_operators')

SEED = 1000
GOLDEN = np.load(Path(__file__).parents[1] / 'data/ops_mmcv.npz')


def boxes(seed, count, width, height):
    """Boxes with centres all over an image and sides of about 20 pixels."""
    rng = RandomState(SEED + seed)
    centre = rng.rand(count, 2) * [width, height]
    size = np.exp(rng.standard_normal((count, 2)) * 0.8 + 3)
    return torch.from_numpy(np.concatenate((centre - size / 2, centre + size / 2), 1).astype(np.float32))


def scores(seed, count):
    return torch.from_numpy(RandomState(SEED + seed).rand(count).astype(np.float32))


def normal(seed, *shape):
    return torch.from_numpy(RandomState(SEED + seed).standard_normal(shape).astype(np.float32))


def close(tensor, name, tolerance=2e-6):
    """Whether a tensor is the golden array, but for rounding relative to the largest value below 1000."""
    array, golden = tensor.detach().numpy(), GOLDEN[name]
    # A maximum of no samples is -10000, beside which any other error would look small.
    scale = np.abs(golden[np.abs(golden) < 1000]).max()
    np.testing.assert_allclose(array, golden, rtol=1e-5, atol=tolerance * scale)


NMS = [(300, 0.5, 0), (1000, 0.7, 0), (300, 0.3, 1), (1, 0.5, 0), (0, 0.5, 0)]


@pytest.mark.parametrize('i', range(len(NMS)))
def test_nms(i):
    count, threshold, offset = NMS[i]
    _, keep = nms(boxes(i, count, 300, 200), scores(50 + i, count), threshold, offset)
    assert keep.tolist() == GOLDEN[f'nms{i}'].tolist()


@pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
def test_soft_nms(method):
    dets, keep = soft_nms(boxes(10, 200, 200, 150), scores(60, 200), 0.3, 0.5, 1e-3, method)
    assert keep.tolist() == GOLDEN[f'soft_{method}_k'].tolist()
    close(dets, f'soft_{method}_d')


def test_nms_match():
    groups = nms_match(torch.cat((boxes(10, 200, 200, 150), scores(60, 200)[:, None]), 1), 0.5)
    assert [len(group) for group in groups] == GOLDEN['match'].tolist()
    assert torch.cat(groups).tolist() == GOLDEN['match_all'].tolist()


ROI_ALIGN = [
    (7, 2, True, 'avg'),
    (7, 0, True, 'avg'),
    (14, 0, False, 'avg'),
    ((3, 5), 2, False, 'avg'),
    (7, 0, True, 'max'),
    (7, 2, False, 'max'),
]


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('i', range(len(ROI_ALIGN)))
def test_roi_align(i, memory_format):
    size, sampling, aligned, mode = ROI_ALIGN[i]
    maps = normal(20 + i, 2, 8, 25, 38).to(memory_format=memory_format).requires_grad_()
    some = boxes(30 + i, 40, 152, 100)
    some[:3] = torch.tensor([[-400, -400, -300, -300], [10, 10, 10, 10], [-30, -20, 260, 190]])
    image = torch.from_numpy((RandomState(SEED + 40 + i).rand(40, 1) > 0.5).astype(np.float32))
    output = roi_align(maps, torch.cat((image, some), 1), size, 0.25, sampling, mode, aligned)
    output.backward(normal(70 + i, *output.shape))
    close(output[:, ::3], f'align{i}')
    close(maps.grad[:, ::3], f'align{i}_g')


DEFORM_CONV = [(1, 1, 1, 1, 1), (2, 1, 1, 2, 4), (1, 2, 2, 1, 2)]


@pytest.mark.parametrize('modulated', [False, True])
@pytest.mark.parametrize('i', range(len(DEFORM_CONV)))
def test_deform_conv(i, modulated):
    stride, padding, dilation, groups, deform_groups = DEFORM_CONV[i]
    maps, weight = normal(90 + i, 2, 8, 13, 17).requires_grad_(), normal(100 + i, 6, 8 // groups, 3, 3).requires_grad_()
    size = [(side + 2 * padding - 2 * dilation - 1) // stride + 1 for side in (13, 17)]
    offset = (normal(110 + i, 2, 2 * deform_groups * 9, *size) * 2).requires_grad_()
    if modulated:
        name, bias = f'mdcn{i}', normal(130 + i, 6).requires_grad_()
        mask = torch.sigmoid(normal(120 + i, 2, deform_groups * 9, *size))
        output = modulated_deform_conv2d(maps, offset, mask, weight, bias, stride, padding, dilation, groups, deform_groups)
        output.backward(normal(150 + i, *output.shape))
        close(bias.grad, f'{name}_gb')
    else:
        name = f'dcn{i}'
        output = deform_conv2d(maps, offset, weight, stride, padding, dilation, groups, deform_groups, False, 1)
        output.backward(normal(140 + i, *output.shape))
    close(output, name)
    close(maps.grad, f'{name}_gx')
    close(offset.grad[:, ::5], f'{name}_go')
    close(weight.grad, f'{name}_gw')
