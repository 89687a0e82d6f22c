"""BN and ReLU in one step against the two modules."""

import pytest
import torch
import torch.nn as nn
from released import fill_by_rule

from fishnet_mmdet import FishNet
from fishnet_mmdet.models.norm_relu import norm_relu


@pytest.fixture
def norm():
    """Fixed BN with statistics and weights that are not the initial ones."""
    norm = nn.BatchNorm2d(6)
    norm.load_state_dict(fill_by_rule((name, tuple(tensor.shape)) for name, tensor in norm.state_dict().items()))
    with torch.no_grad():
        norm.weight[1] *= -1
        norm.weight[2] = 0
    return norm.double().eval().requires_grad_(False)


@pytest.fixture
def x():
    return torch.randn(2, 6, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()


def kept_by(function):
    """Bytes that are kept for the backward pass, parameters and buffers left out."""
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = function()
    return result, kept


def test_output_and_gradients_are_those_of_the_modules(norm, x):
    ours, theirs = norm_relu(norm, x), nn.ReLU()(norm(x))
    assert 'FixedNormReLU' in ours.grad_fn.name()
    assert torch.equal(ours, theirs) and (ours > 0).any() and (ours == 0).any()
    weights = torch.randn_like(ours)
    ours, theirs = (torch.autograd.grad(y, x, weights)[0] for y in (ours, theirs))
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=0)


def test_gradients_are_those_of_small_differences(norm, x):
    assert torch.autograd.gradcheck(lambda x: norm_relu(norm, x), x)
    assert torch.autograd.gradgradcheck(lambda x: norm_relu(norm, x), x)


def test_only_the_output_is_kept(norm, x):
    y, kept = kept_by(lambda: norm_relu(norm, x))
    assert y.untyped_storage().data_ptr() in kept and x.untyped_storage().data_ptr() not in kept


def test_output_is_used_twice_and_changed_by_nobody(norm, x):
    y = norm_relu(norm, x)
    (2 * y + y * y).sum().backward()
    ours, x.grad = x.grad, None
    y = norm(x).relu()
    (2 * y + y * y).sum().backward()
    torch.testing.assert_close(ours, x.grad, rtol=1e-14, atol=0)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_reduced_precision_stays_reduced(norm, x, dtype):
    reduced = x.detach().to(dtype).requires_grad_()
    y = norm_relu(norm.float(), reduced)
    y.sum().backward()
    assert y.dtype == reduced.grad.dtype == dtype
    (exact,) = torch.autograd.grad(norm.double()(x).relu().sum(), x)
    same_side = (y > 0) == (exact != 0)
    torch.testing.assert_close(reduced.grad.double()[same_side], exact[same_side], rtol=1e-2, atol=0)


@pytest.mark.parametrize('change', ['train', 'weight', 'bias', 'hook', 'statistics', 'GN', 'no_grad', 'constant x'])
def test_everything_else_goes_through_the_modules(change, norm, x):
    calls = []
    if change == 'train':
        norm.train()
    elif change in ('weight', 'bias'):
        getattr(norm, change).requires_grad_()
    elif change == 'hook':
        norm.register_forward_hook(lambda *_: calls.append(1))
    elif change == 'statistics':
        norm = nn.BatchNorm2d(6, track_running_stats=False).double().eval().requires_grad_(False)
    elif change == 'GN':
        norm = nn.GroupNorm(2, 6).double().requires_grad_(False)
    elif change == 'constant x':
        x = x.detach()
    with torch.set_grad_enabled(change != 'no_grad'):
        y = norm_relu(norm, x)
    assert y.grad_fn is None or 'FixedNormReLU' not in y.grad_fn.name()
    assert len(calls) == (change == 'hook')
    torch.testing.assert_close(y, norm(x).relu(), rtol=1e-14, atol=1e-14)


def test_the_network_keeps_less_and_computes_the_same(small_fish):
    torch.manual_seed(0)
    net = FishNet(small_fish(3), frozen_stages=-1).double()
    net.load_state_dict(fill_by_rule((name, tuple(tensor.shape)) for name, tensor in net.state_dict().items()))
    image = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    results = []
    for hooked in (False, True):
        if hooked:
            for module in net.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.register_forward_hook(lambda *_: None)
        outputs, kept = kept_by(lambda: net(image))
        net.zero_grad()
        sum(x.square().mean() for x in outputs).backward()
        gradients = [p.grad.clone() for p in net.parameters() if p.requires_grad]
        results.append((outputs, gradients, sum(kept.values())))
    (outputs, gradients, less), (plain_outputs, plain_gradients, more) = results
    for ours, theirs in zip((*outputs, *gradients), (*plain_outputs, *plain_gradients), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    assert less < 0.75 * more
