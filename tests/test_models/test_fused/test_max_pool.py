"""Max-pooling that keeps a byte of each output against PyTorch's own."""

import pytest
import torch
import torch.nn as nn

from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.models.fused import MaxPool2x2


@pytest.fixture(params=[(2, 3, 6, 8), (2, 3, 7, 9), (1, 4, 1, 5), (2, 3, 8, 5), (1, 2, 1, 1)], ids=str)
def x(request):
    """Values of which many are equal, and some minus infinity."""
    x = torch.randint(0, 4, request.param, generator=torch.Generator().manual_seed(0)).double()
    x.flatten()[0] = -torch.inf
    return x.requires_grad_()


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.bfloat16])
def test_output_and_gradient_are_those_of_pytorch(layout, dtype, x):
    x = x.detach().to(dtype).contiguous(memory_format=layout).requires_grad_()
    before = x.detach().clone()
    ours, theirs = MaxPool2x2()(x), nn.MaxPool2d(2, ceil_mode=True)(x)
    assert 'MaxPool2x2' in ours.grad_fn.name()
    assert torch.equal(ours, theirs) and ours.dtype == dtype and torch.equal(x, before)
    assert ours.is_contiguous(memory_format=layout)
    weights = torch.randn_like(ours)
    ours, theirs = (torch.autograd.grad(y, x, weights)[0] for y in (ours, theirs))
    assert torch.equal(ours, theirs)


def test_a_byte_is_kept_of_each_output():
    x = torch.rand(1, 8, 6, 10, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.untyped_storage().nbytes()) or t, lambda t: t):
        y = MaxPool2x2()(x)
    assert sum(kept) == y.numel()


def test_without_gradients_it_is_pytorchs_own(x):
    with torch.no_grad():
        assert torch.equal(MaxPool2x2()(x), nn.MaxPool2d(2, ceil_mode=True)(x))
    assert MaxPool2x2()(x.detach()).grad_fn is None


def test_gradients_of_gradients_are_refused(x):
    y = MaxPool2x2()(x)
    (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y, requires_grad=True), create_graph=True)
    with pytest.raises(FishNetError, match='fused=False'):
        gradient.sum().backward()
