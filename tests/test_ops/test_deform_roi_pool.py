"""Deformable RoI pooling, which mmcv has no CPU kernel for, against loops over the samples."""

import loops
import pytest
import torch
from mmcv.ops import DeformRoIPoolPack, ModulatedDeformRoIPoolPack, deform_roi_pool
from test_roi_align import ROIS, maps

pytestmark = pytest.mark.usefixtures('our_operators')


def offsets(bins):
    return torch.randn(len(ROIS), 2, *bins, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize('moved', [True, False])
@pytest.mark.parametrize('sampling', [0, 1, 3])
def test_forward(sampling, moved):
    offset = offsets((3, 4)) if moved else None
    output = deform_roi_pool(maps(), ROIS, offset, (3, 4), 0.5, sampling, 0.3)
    expected = loops.deform_roi_pool(maps(), ROIS, offset, (3, 4), 0.5, sampling, 0.3)
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('sampling', [0, 2])
def test_gradient(sampling):
    x, offset = maps(channels=2).requires_grad_(), offsets((2, 3)).requires_grad_()
    assert loops.gradcheck(lambda x, offset: deform_roi_pool(x, ROIS, offset, (2, 3), 0.5, sampling, 0.3), (x, offset))
    assert loops.gradcheck(lambda x: deform_roi_pool(x, ROIS, None, (2, 3), 0.5, sampling, 0.3), x)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('kind', [DeformRoIPoolPack, ModulatedDeformRoIPoolPack])
def test_layers_of_mmcv_learn(kind, dtype):
    layer = kind((3, 3), 3, deform_fc_channels=8, spatial_scale=0.5).to(dtype)
    x = maps(dtype).requires_grad_()
    output = layer(x, ROIS.to(dtype))
    output.sum().backward()
    assert output.dtype == dtype and x.grad.any()
    assert layer.offset_fc[-1].bias.grad.any()


def test_empty():
    x = maps(torch.float32).requires_grad_()
    output = deform_roi_pool(x, torch.zeros(0, 5), None, 7, 0.5)
    assert output.shape == (0, 3, 7, 7)
    output.sum().backward()
    assert not x.grad.any()
