"""RoIAlign against loops over the samples."""

import loops
import pytest
import torch
from mmcv.ops import RoIAlign, roi_align

from fishnet_mmdet.ops import padding

pytestmark = pytest.mark.usefixtures('our_operators')

#: Inside, across the border, far outside, without a size, larger than the map, turned around, less than a pixel.
ROIS = torch.tensor(
    [
        [0, 3, 4, 30, 21],
        [1, -9, -7, 12, 13],
        [0, -400, -400, -300, -300],
        [1, 10, 10, 10, 10],
        [0, -30, -20, 70, 55],
        [1, 17.3, 5.1, 17.9, 5.8],
        [0, 0, 0, 40, 28],
    ],
    dtype=torch.float64,
)


def maps(dtype=torch.float64, channels=3):
    return torch.randn(2, channels, 14, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling', [0, 1, 3])
def test_forward(sampling, aligned, mode):
    output = roi_align(maps(), ROIS, (3, 4), 0.5, sampling, mode, aligned)
    expected = loops.roi_align(maps(), ROIS, (3, 4), 0.5, sampling, aligned, mode)
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('sampling', [0, 2])
def test_gradient(sampling, mode):
    x = maps(channels=2).requires_grad_()
    assert loops.gradcheck(lambda x: roi_align(x, ROIS, (2, 3), 0.5, sampling, mode, True), x)


@pytest.mark.parametrize('sampling', [0, 2])
def test_layouts(sampling):
    """Channels-last maps give the same, and a gradient in their layout."""
    grad = torch.randn(len(ROIS), 3, 7, 7)
    results = []
    for layout in (torch.contiguous_format, torch.channels_last):
        x = maps(torch.float32).contiguous(memory_format=layout).requires_grad_()
        output = RoIAlign(7, 0.5, sampling)(x, ROIS.float())
        output.backward(grad)
        assert output.is_contiguous() and x.grad.is_contiguous(memory_format=layout)
        results.append((output, x.grad))
    for first, second in zip(*results):
        torch.testing.assert_close(first, second, rtol=0, atol=1e-6)


@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision(dtype, mode):
    """It is computed in float32 and rounded once."""
    x = maps(dtype).requires_grad_()
    wide = x.detach().float().requires_grad_()
    rois = ROIS.to(dtype)
    output, expected = (roi_align(y, rois.to(y.dtype), 7, 0.5, 0, mode, True) for y in (x, wide))
    assert output.dtype == dtype
    assert torch.equal(output, expected.to(dtype))
    output.backward(torch.ones_like(output))
    expected.backward(torch.ones_like(expected))
    if mode == 'avg':  # mmcv keeps the coordinates of the maxima in the dtype of the maps
        assert torch.equal(x.grad, wide.grad.to(dtype))
    assert x.grad.isfinite().all()


def test_empty():
    x = maps(torch.float32).requires_grad_()
    output = roi_align(x, torch.zeros(0, 5), 7, 0.5, 0, 'avg', True)
    assert output.shape == (0, 3, 7, 7)
    output.sum().backward()
    assert not x.grad.any()


def test_the_maximum_in_small_parts(monkeypatch):
    expected = roi_align(maps(), ROIS.repeat(3, 1), 3, 0.5, 2, 'max', True)
    monkeypatch.setattr(padding, 'MOST_VALUES', 100)
    assert torch.equal(roi_align(maps(), ROIS.repeat(3, 1), 3, 0.5, 2, 'max', True), expected)
