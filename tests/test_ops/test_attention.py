"""Multi-scale deformable attention against mmcv's own, which it uses on the CPU."""

import loops
import pytest
import torch
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction, multi_scale_deformable_attn_pytorch

pytestmark = pytest.mark.usefixtures('our_operators')

SHAPES = torch.tensor([[5, 7], [3, 4], [1, 2]])
STARTS = torch.tensor([0, 35, 47])


def inputs(dtype=torch.float64, queries=6):
    rng = torch.Generator().manual_seed(0)
    value = torch.randn(2, 49, 2, 4, generator=rng, dtype=torch.float64)
    # Some of the locations are outside of the map.
    locations = torch.rand(2, queries, 2, 3, 4, 2, generator=rng, dtype=torch.float64) * 1.6 - 0.3
    attention = torch.rand(2, queries, 2, 3, 4, generator=rng, dtype=torch.float64)
    return [tensor.to(dtype).requires_grad_() for tensor in (value, locations, attention)]


def attend(value, locations, attention):
    return MultiScaleDeformableAttnFunction.apply(value, SHAPES, STARTS, locations, attention, 64)


def test_outputs_and_gradients():
    ours, theirs = inputs(), inputs()
    output = attend(*ours)
    expected = multi_scale_deformable_attn_pytorch(theirs[0], SHAPES, *theirs[1:])
    torch.testing.assert_close(output, expected)
    grad = torch.randn_like(output)
    output.backward(grad)
    expected.backward(grad)
    for tensor, other in zip(ours, theirs):
        torch.testing.assert_close(tensor.grad, other.grad)


def test_gradient():
    assert loops.gradcheck(attend, inputs(queries=2))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    value, locations, attention = inputs(dtype)
    output = attend(value, locations, attention)
    expected = attend(*(tensor.detach().float() for tensor in (value, locations, attention)))
    assert torch.equal(output, expected.to(dtype))
    output.sum().backward()
    assert all(tensor.grad.isfinite().all() and tensor.grad.any() for tensor in (value, locations, attention))
