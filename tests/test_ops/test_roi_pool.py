"""RoI pooling, which mmcv has no CPU kernel for, against loops over the pixels."""

import loops
import pytest
import torch
from mmcv.ops import RoIPool, roi_pool
from test_roi_align import ROIS, maps

from fishnet_mmdet.ops import padding

pytestmark = pytest.mark.usefixtures('our_operators')


@pytest.mark.parametrize('bins', [(3, 4), (7, 7), (1, 1)])
@pytest.mark.parametrize('scale', [0.5, 1.0, 0.3])
def test_forward(scale, bins):
    torch.testing.assert_close(roi_pool(maps(), ROIS, bins, scale), loops.roi_pool(maps(), ROIS, bins, scale))


def test_boxes_that_are_turned_around_have_no_pixels():
    rois = torch.tensor([[0, 20, 4, 3, 21]], dtype=torch.float64)
    assert not roi_pool(maps(), rois, 2, 0.5).any()


def test_gradient():
    x = maps(channels=2).requires_grad_()
    assert loops.gradcheck(lambda x: roi_pool(x, ROIS, (2, 3), 0.5), x)


def test_small_parts(monkeypatch):
    expected = roi_pool(maps(), ROIS.repeat(3, 1), 3, 0.5)
    monkeypatch.setattr(padding, 'MOST_VALUES', 100)
    assert torch.equal(roi_pool(maps(), ROIS.repeat(3, 1), 3, 0.5), expected)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    x = maps(dtype).requires_grad_()
    output = RoIPool(3, 0.5)(x, ROIS.to(dtype))
    assert torch.equal(output, roi_pool(x.detach().float(), ROIS.to(dtype).float(), 3, 0.5).to(dtype))
    output.sum().backward()
    assert x.grad.dtype == dtype and x.grad.any()


def test_empty():
    x = maps(torch.float32).requires_grad_()
    output = roi_pool(x, torch.zeros(0, 5), 7, 0.5)
    assert output.shape == (0, 3, 7, 7)
    output.sum().backward()
    assert not x.grad.any()
