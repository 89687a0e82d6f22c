"""Norm, ReLU and convolution with frozen BN against the modules, called one after another."""

import pytest
import torch
import torch.nn as nn
from equal_lengths import zip_equal
from released import fill_by_rule, released_weights

from fishnet_mmdet import FishNet
from fishnet_mmdet.analysis.released_fishnet import ReleasedFishNet
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.models.fused import norm_relu, norm_relu_conv
from fishnet_mmdet.models.released import rename_released

CHANNELS = (6, 4, 8, 6)


def filled(module):
    """The module with weights and statistics that are not the initial ones."""
    module.load_state_dict(fill_by_rule((name, tuple(tensor.shape)) for name, tensor in module.state_dict().items()))
    return module


def make_steps(count=3, bias=True, **conv):
    """Norms, frozen at statistics and weights of either sign, and convolutions."""
    steps = nn.ModuleList(
        nn.ModuleList([nn.BatchNorm2d(CHANNELS[i]), nn.Conv2d(CHANNELS[i], CHANNELS[(i + 1) % 4], 3, bias=bias, **conv)])
        for i in range(count)
    )
    filled(steps).double().eval()
    for norm, _ in steps:
        norm.requires_grad_(False)
        norm.weight[1] *= -1
        norm.weight[2] = 0
    return steps


def by_modules(steps, x):
    out = x
    for norm, conv in steps:
        out = conv(norm(out).relu())
    return out


@pytest.fixture
def x():
    return torch.randn(2, 6, 9, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()


def kept_by(function):
    """What is kept for the backward pass: bytes by their address."""
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = function()
    return result, kept


def is_fast(y):
    return y.grad_fn is not None and 'FrozenNormReLUConv' in y.grad_fn.name()


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('count', [1, 2, 3])
@pytest.mark.parametrize(
    'conv',
    [dict(padding=1), dict(padding=1, bias=False), dict(padding=2, dilation=2), dict(padding=1, stride=2), dict(groups=2)],
)
def test_output_and_gradients_are_those_of_the_modules(conv, count, layout, x):
    steps = make_steps(count, **conv).to(memory_format=layout)
    x = x.detach().contiguous(memory_format=layout).requires_grad_()
    before = x.detach().clone()
    inputs = [x, *(p for p in steps.parameters() if p.requires_grad)]
    ours, theirs = norm_relu_conv(list(steps), x), by_modules(steps, x)
    assert is_fast(ours) and not is_fast(theirs) and torch.equal(x, before)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    weights = torch.randn_like(ours)
    ours, theirs = (torch.autograd.grad(y, inputs, weights) for y in (ours, theirs))
    for our, their in zip_equal(ours, theirs):
        torch.testing.assert_close(our, their, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('learns', ['all', 'x', 'weights', 'nothing'])
def test_input_is_added(learns, x):
    steps = make_steps(padding=1)
    steps[2][1] = filled(nn.Conv2d(8, 6, 3, padding=1)).double()
    steps = list(steps)[:3]
    x.requires_grad_(learns in ('all', 'x'))
    parameters = [p for _, conv in steps for p in conv.requires_grad_(learns in ('all', 'weights')).parameters()]
    inputs = [p for p in (x, *parameters) if p.requires_grad]
    ours, theirs = norm_relu_conv(steps, x, add_input=True), by_modules(steps, x) + x
    assert is_fast(ours) == (learns != 'nothing')
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    if inputs:
        weights = torch.randn_like(ours)
        for our, their in zip_equal(*(torch.autograd.grad(y, inputs, weights) for y in (ours, theirs))):
            torch.testing.assert_close(our, their, rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_small_differences(x):
    steps = list(make_steps(2, padding=1))
    x = x.detach()[:1, :, :3, :4].requires_grad_()
    weights = [p for _, conv in steps for p in conv.parameters()]

    assert torch.autograd.gradcheck(lambda x, *_: norm_relu_conv(steps, x), (x, *weights))


def test_gradients_can_be_computed_again_and_what_they_come_from_is_not_changed(x):
    y = norm_relu_conv(list(make_steps(padding=1)), x)
    weights = torch.randn_like(y)
    before = weights.clone()
    (first,) = torch.autograd.grad(y, x, weights, retain_graph=True)
    (second,) = torch.autograd.grad(y, x, weights)
    assert torch.equal(first, second) and torch.equal(weights, before)


def test_gradients_of_gradients_are_refused(x):
    y = norm_relu_conv(list(make_steps(1)), x)
    (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y, requires_grad=True), create_graph=True)
    with pytest.raises(FishNetError, match='fused=False'):
        gradient.sum().backward()


def test_only_the_inputs_of_convolutions_are_kept(x):
    steps = make_steps(3, padding=1, bias=False)
    y, kept = kept_by(lambda: norm_relu_conv(list(steps), x))
    weights = {conv.weight.data_ptr() for _, conv in steps}
    activations = {address: size for address, size in kept.items() if address not in weights}
    assert x.data_ptr() not in activations and y.data_ptr() not in activations
    scales = 8 * sum(CHANNELS[:3])
    assert sum(activations.values()) == 8 * 2 * 9 * 11 * sum(CHANNELS[:3]) + scales


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('way', ['autocast', 'model'])
def test_reduced_precision(way, dtype, x):
    if dtype == torch.float16 and torch.__version__ < (2, 1):
        pytest.skip('torch before 2.1 computes no convolution in float16 on the CPU')
    exact = norm_relu_conv(list(make_steps(padding=1)), x)
    (exact_gradient,) = torch.autograd.grad(exact.sum(), x)
    steps = make_steps(padding=1).to(dtype if way == 'model' else torch.float32)
    reduced = x.detach().to(dtype).requires_grad_()
    with torch.autocast('cpu', dtype, enabled=way == 'autocast'):
        y = norm_relu_conv(list(steps), reduced)
        assert is_fast(y)
        expected = by_modules(steps, reduced)
    y.sum().backward()
    assert y.dtype == expected.dtype == reduced.grad.dtype == dtype
    assert all(conv.weight.grad.dtype == conv.weight.dtype for _, conv in steps)
    error, usual = (float((out.detach().double() - exact).norm() / exact.norm()) for out in (y, expected))
    assert error < 1.5 * usual < 0.1
    error = (reduced.grad.double() - exact_gradient).norm() / exact_gradient.norm()
    assert error < 0.2


@pytest.mark.parametrize(
    'change', ['train', 'weight', 'bias', 'norm hook', 'conv hook', 'pre-hook', 'backward hook', 'statistics', 'GN', 'conv']
)
@pytest.mark.parametrize('add_input', [False, True])
def test_everything_else_goes_through_the_modules(change, add_input, x):
    steps = make_steps(1, padding=1)
    steps[0][1] = filled(nn.Conv2d(6, 6, 3, padding=1)).double()
    norm, conv = steps[0]
    calls = []
    if change == 'train':
        norm.train()
    elif change in ('weight', 'bias'):
        getattr(norm, change).requires_grad_()
    elif change == 'norm hook':
        norm.register_forward_hook(lambda *_: calls.append(1))
    elif change == 'conv hook':
        conv.register_forward_hook(lambda *_: calls.append(1))
    elif change == 'pre-hook':
        conv.register_forward_pre_hook(lambda *_: calls.append(1))
    elif change == 'backward hook':
        conv.register_full_backward_hook(lambda *_: calls.append(1))
    elif change == 'statistics':
        norm = steps[0][0] = nn.BatchNorm2d(6, track_running_stats=False).double().eval().requires_grad_(False)
    elif change == 'GN':
        norm = steps[0][0] = nn.GroupNorm(2, 6).double().requires_grad_(False)
    elif change == 'conv':
        # A module that computes something else with a convolution's weights.
        conv.__class__ = type('Other', (nn.Conv2d,), dict(forward=lambda self, x: 2 * nn.Conv2d.forward(self, x)))
    y = norm_relu_conv(list(steps), x, add_input=add_input)
    assert not is_fast(y)
    y.sum().backward()
    assert len(calls) == ('hook' in change)
    expected = by_modules(steps, x)
    torch.testing.assert_close(y, expected + x if add_input else expected, rtol=1e-14, atol=1e-14)


def test_what_a_hook_holds_is_not_changed_afterwards(x):
    norm, conv = make_steps(1, padding=1)[0]
    held = []
    norm.register_forward_hook(lambda module, inputs, out: held.append((out, out.detach().clone())))
    norm_relu(norm, x)
    norm_relu_conv([(norm, conv)], x)
    assert len(held) == 2 and all(torch.equal(out, then) and (out < 0).any() for out, then in held)


def test_nothing_is_kept_without_gradients(x):
    steps = list(make_steps(padding=1))
    with torch.no_grad():
        y, kept = kept_by(lambda: norm_relu_conv(steps, x))
    assert not kept and y.grad_fn is None
    torch.testing.assert_close(y, by_modules(steps, x).detach(), rtol=1e-12, atol=1e-12)


def test_norms_that_learn_are_frozen_where_nothing_learns(x):
    steps = make_steps(padding=1)
    for norm, _ in steps:
        norm.requires_grad_(True)
    with torch.no_grad():
        torch.testing.assert_close(norm_relu_conv(list(steps), x), by_modules(steps, x).detach(), rtol=1e-12, atol=1e-12)


def gradients_of_both(dtype, seed):
    """The gradients of FishNet-99, of ours and of the plain implementation; they share no code."""
    weights = released_weights(99)
    plain = ReleasedFishNet(99).eval()
    plain.load_state_dict(weights)
    net = FishNet(99, frozen_stages=-1)
    net.load_state_dict({name: t for name, t in rename_released(weights).items() if name in net.state_dict()})
    torch.manual_seed(seed)
    image = torch.randn(2, 3, 96, 64).to(dtype)
    ours = net.to(dtype).train()(image)
    features, refined, _ = plain.to(dtype)(image)
    theirs = (refined[7], refined[8], refined[9], features[10])
    weights = [torch.randn_like(level) / level.detach().std() for level in theirs]
    torch.autograd.backward(ours, weights)
    torch.autograd.backward(theirs, weights)
    ours = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    theirs = rename_released({name: p.grad for name, p in plain.named_parameters() if p.grad is not None})
    assert set(ours) == {name for name in theirs if 'norm' not in name}
    return ours, theirs


def difference(ours, theirs):
    """The largest relative difference of a parameter's gradient."""
    return max(float((ours[name] - theirs[name]).norm() / theirs[name].norm()) for name in ours)


def test_gradients_of_the_network_are_those_of_the_plain_implementation():
    assert difference(*gradients_of_both(torch.float64, 0)) < 1e-12
    # In float32, now and then a sum at ReLU's corner is rounded to its other side, which changes every gradient before it:
    # in one implementation as often as in the other.
    assert min(difference(*gradients_of_both(torch.float32, seed)) for seed in range(3)) < 1e-5


def test_the_network_keeps_less_than_half_of_what_the_modules_keep():
    """In detection: BN and the stem are frozen."""
    plain = ReleasedFishNet(99).eval()
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.requires_grad_(False)
    for part in (plain.conv1, plain.conv2, plain.conv3):
        part.requires_grad_(False)
    image = torch.randn(1, 3, 128, 96)
    sums = []
    ours = FishNet(99).train()
    for net, parameters in ((ours, ours.parameters()), (lambda image: plain(image)[:2], plain.parameters())):
        outputs, kept = kept_by(lambda net=net: net(image))
        addresses = {parameter.data_ptr() for parameter in parameters}
        sums.append(sum(size for address, size in kept.items() if address not in addresses))
        del outputs
    assert sums[0] < 0.5 * sums[1]
