"""What PyTorch can do to a network, with and without the fast path, against a plain implementation in float64.

With ``fused=False`` all of it works, as with mmdet's ResNet. With ``fused=True`` it works too, but for second derivatives,
which are refused with the remedy.
"""

import warnings

import pytest
import torch
import torch.nn as nn
from equal_lengths import zip_equal
from released import released_weights
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, vmap

from fishnet_mmdet import FishNet
from fishnet_mmdet.analysis.released_fishnet import ReleasedFishNet
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.models import ClassificationHead
from fishnet_mmdet.models.fused import MaxPool2x2
from fishnet_mmdet.models.released import rename_released
from fishnet_mmdet.ops import installed

#: One weight, by our name and by the released one.
WEIGHT = 'tail.stage2.0.conv2.weight'
RELEASED_WEIGHT = 'fish.fish.1.0.0.conv2.weight'


@pytest.fixture(scope='module', params=[True, False], ids=['fused', 'plain'])
def fused(request):
    return request.param


@pytest.fixture(scope='module')
def weights():
    return released_weights(99)


@pytest.fixture(scope='module')
def net(fused, weights):
    """FishNet-99 in float64 with frozen BN, as in a detector."""
    net = FishNet(99, frozen_stages=-1, fused=fused)
    net.load_state_dict({name: t for name, t in rename_released(weights).items() if name in net.state_dict()})
    return net.double().train()


@pytest.fixture(scope='module')
def reference(weights):
    """The plain implementation, as a function of the image, and of one weight, that returns what FishNet returns."""
    plain = ReleasedFishNet(99)
    plain.load_state_dict(weights)
    plain.double().eval()

    def compute(x, weight=plain.get_parameter(RELEASED_WEIGHT)):
        features, refined, _ = functional_call(plain, {RELEASED_WEIGHT: weight}, (x,))
        return refined[7], refined[8], refined[9], features[10]

    compute.weight = plain.get_parameter(RELEASED_WEIGHT)
    return compute


def image(number=1, height=32, width=64):
    return torch.randn(number, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def loss_of(outputs):
    return sum(level.square().mean() for level in outputs)


def assert_near(ours, theirs, tolerance=1e-10):
    assert ours.shape == theirs.shape and theirs.abs().max() > 0
    assert (ours - theirs).norm() <= tolerance * theirs.norm()


def test_outputs_and_gradients(net, reference):
    for our, their in zip_equal(net(image()), reference(image())):
        assert_near(our, their)
    pairs = (net, net.get_parameter(WEIGHT)), (reference, reference.weight)
    assert_near(*(torch.autograd.grad(loss_of(function(image())), weight)[0] for function, weight in pairs))


def test_the_switch_leaves_out_the_fast_path(net, fused):
    outputs = net(image())
    functions, waiting = set(), [level.grad_fn for level in outputs]
    seen = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            functions.add(node.name())
            waiting += [after for after, _ in node.next_functions]
    ours = {name for name in functions if name.startswith('_')}
    # Contiguous outputs too, which mmcv's compiled operators need.
    copies = set() if installed() else {'_ToContiguousBackward'}
    assert ours == ({'_FrozenNormReLUConvBackward', '_MaxPool2x2Backward'} | copies if fused else set())
    assert any(isinstance(module, MaxPool2x2) for module in net.modules()) == fused


def test_the_plain_modules_keep_the_layout_of_the_image(small_net):
    net = small_net(fused=False).eval()
    layouts = []
    net.tail['stage1'][0].conv1.register_forward_hook(lambda module, inputs, out: layouts.append(out.is_contiguous()))
    net(image().float())
    assert layouts == [True]


def test_second_derivatives(net, fused, reference):
    """The gradient of a gradient penalty, as WGAN-GP and SAM-like methods use it."""
    results = []
    for function, weight in ((net, net.get_parameter(WEIGHT)), (reference, reference.weight)):
        x = image().requires_grad_()
        (gradient,) = torch.autograd.grad(loss_of(function(x)), x, create_graph=True)
        assert gradient.requires_grad
        if function is net and fused:
            with pytest.raises(FishNetError, match='fused=False'):
                gradient.square().sum().backward()
            return
        results.append(torch.autograd.grad(gradient.square().sum(), weight)[0])
    assert_near(*results)


def test_a_second_derivative_is_not_dropped_in_silence(net, fused):
    """Of a linear loss, the incoming gradient is a constant: PyTorch's own decorator would let it pass."""
    x = image().requires_grad_()
    (gradient,) = torch.autograd.grad(net(x)[0].sum(), x, create_graph=True)
    total = gradient.square().sum() + net(x)[0].sum()
    if fused:
        with pytest.raises(FishNetError, match='fused=False'):
            total.backward()
    else:
        total.backward()
    net.zero_grad()


def test_first_derivatives_with_create_graph(net, reference):
    """Some optimizers and hooks pass it and use the first derivative alone."""
    results = []
    for function in (net, reference):
        x = image().requires_grad_()
        results.append(torch.autograd.grad(loss_of(function(x)), x, create_graph=True)[0].detach())
    assert_near(*results)


def test_func_grad(net, reference):
    ours, theirs = (grad(lambda x, f=f: loss_of(f(x)))(image()) for f in (net, reference))
    assert_near(ours, theirs)


def test_functional_call(net, reference):
    """Gradients of the loss as a function of the weights."""
    parameters = {name: p.detach() for name, p in net.named_parameters()}
    ours = grad(lambda p: loss_of(functional_call(net, p, (image(),))))(parameters)
    (theirs,) = torch.autograd.grad(loss_of(reference(image())), reference.weight)
    assert_near(ours[WEIGHT], theirs)
    # And without a transform, with other weights than its own.
    changed = functional_call(net, {WEIGHT: torch.zeros_like(parameters[WEIGHT])}, (image(),))
    assert not torch.allclose(changed[0], net(image())[0])


def test_vmap_over_images_and_per_image_gradients(net, reference):
    images = image(3)[:, None]
    for our, their in zip_equal(vmap(net)(images), reference(image(3))):
        assert_near(our[:, 0], their)
    ours = vmap(grad(lambda x: loss_of(net(x))))(images)
    for i in range(3):
        x = images[i].clone().requires_grad_()
        (theirs,) = torch.autograd.grad(loss_of(reference(x)), x)
        assert_near(ours[i], theirs)


@pytest.mark.parametrize('way', ['jvp', 'dual numbers', 'dual weight'])
def test_forward_mode(way, net, reference):
    x, tangent = image(), torch.ones_like(image())
    if way == 'dual weight':
        weight, tangent = reference.weight.detach(), torch.ones_like(reference.weight)
        with forward_ad.dual_level():
            outputs = functional_call(net, {WEIGHT: forward_ad.make_dual(weight, tangent)}, (x,))
            ours = [forward_ad.unpack_dual(level).tangent for level in outputs]
        _, theirs = jvp(lambda w: reference(x, w), (weight,), (tangent,))
        for our, their in zip_equal(ours, theirs):
            assert_near(our, their)
        return
    if way == 'jvp':
        _, ours = jvp(net, (x,), (tangent,))
    else:
        with forward_ad.dual_level():
            ours = [forward_ad.unpack_dual(level).tangent for level in net(forward_ad.make_dual(x, tangent))]
    _, theirs = jvp(reference, (x,), (tangent,))
    for our, their in zip_equal(ours, theirs):
        assert_near(our, their)


def test_a_graph_of_torch_fx(net, reference):
    traced = torch.fx.symbolic_trace(net)
    targets = {node.target for node in traced.graph.nodes if node.op == 'call_module'}
    assert {name for name, module in net.named_modules() if isinstance(module, nn.Conv2d)} <= targets
    # The graph is that of any size.
    for x in (image(), image(2, 96, 64)):
        for our, their in zip_equal(traced(x), reference(x)):
            assert_near(our, their)
    ours, theirs = (
        torch.autograd.grad(loss_of(f(image())), w)[0]
        for f, w in ((traced, traced.get_parameter(WEIGHT)), (reference, reference.weight))
    )
    assert_near(ours, theirs)


@pytest.mark.parametrize('kwargs', [dict(with_cp=True), dict(norm_cfg=dict(type='BN'), norm_eval=False)], ids=str)
def test_other_settings_of_a_graph_and_of_transforms(kwargs, fused, small_net):
    net = small_net(fused=fused, frozen_stages=-1, **kwargs).double().eval()
    x = image(2)
    expected = torch.autograd.grad(loss_of(net(x.requires_grad_())), x)[0]
    assert_near(grad(lambda x: loss_of(net(x)))(x.detach()), expected)
    for our, their in zip_equal(torch.fx.symbolic_trace(net)(x), net(x)):
        assert_near(our, their)


@pytest.mark.parametrize('way', ['dynamic', 'prepare', 'prepare_qat', 'prepare_fx', 'convert_fx'])
def test_quantisation(way, fused, small_net):
    quantization = pytest.importorskip('torch.ao.quantization', reason='this PyTorch has moved quantisation to torchao')
    if way.endswith('fx'):
        pytest.importorskip('torch.ao.quantization.quantize_fx', reason='this PyTorch has moved quantisation to torchao')
    net = small_net(fused=fused).eval()
    x = image(2, 64, 64).float()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        expected = net(x)
        if way == 'dynamic':
            quantised = quantization.quantize_dynamic(net, {nn.Linear}, torch.qint8)
        elif way == 'prepare':
            net.qconfig = quantization.default_qconfig
            quantised = quantization.prepare(net)
        elif way == 'prepare_qat':
            net.train().qconfig = quantization.get_default_qat_qconfig('x86')
            quantised = quantization.prepare_qat(net)
            quantised.apply(quantization.disable_fake_quant)
        else:
            mapping = quantization.get_default_qconfig_mapping('x86')
            quantised = quantization.quantize_fx.prepare_fx(net, mapping, (x,))
        observed = quantised(x)
        for our, their in zip_equal(observed, expected):
            assert_near(our, their, 1e-5)
        if way.startswith('prepare'):
            observers = [m for m in quantised.modules() if isinstance(m, quantization.ObserverBase)]
            assert len(observers) > 40
            seen = [m for m in observers if getattr(m, 'max_val', torch.tensor([])).numel() and m.max_val.isfinite().all()]
            assert len(seen) >= 40
        if way == 'convert_fx':
            quantised = quantization.quantize_fx.convert_fx(quantised)
            assert any('quantized' in type(module).__module__ for module in quantised.modules())
            # Of 8 bits, near the exact one.
            for our, their in zip_equal(quantised(x), expected):
                assert_near(our, their, 0.2)


def test_the_classification_head_has_the_switch(fused):
    head = ClassificationHead(64, 5, norm_cfg=dict(type='BN', requires_grad=False), fused=fused).double().eval()
    x = torch.randn(2, 64, 4, 4, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(head(x).square().sum(), x, create_graph=True)
    if fused:
        with pytest.raises(FishNetError, match='fused=False'):
            gradient.square().sum().backward()
    else:
        gradient.square().sum().backward()
        assert x.grad.isfinite().all()


def test_global_hooks_see_every_module(fused, small_net):
    """Profilers register them for all modules at once."""
    net = small_net(fused=fused).eval()
    seen = set()
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: seen.add(module))
    try:
        net(image().float())
    finally:
        handle.remove()
    assert {module for module in net.modules() if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))} <= seen
