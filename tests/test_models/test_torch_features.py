"""The network under what PyTorch does to one: autocast, hooks, recomputation, compilation, export, copies, processes."""

import copy
import io
import os
import pickle
import shutil
import socket

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from equal_lengths import zip_equal
from released import fill_by_rule
from torch._dynamo.utils import counters
from torch.nn.parallel import DistributedDataParallel

from fishnet_mmdet import FishNet

#: So near that PyTorch chooses the same kind of convolution for all: it compiles a graph for each kind that it chooses.
SIZES = ((96, 160), (128, 96), (107, 149))


@pytest.fixture
def net(small_fish):
    net = FishNet(arch=small_fish(2), out_indices=(0, 1, 2))
    net.load_state_dict(fill_by_rule((name, tuple(tensor.shape)) for name, tensor in net.state_dict().items()))
    return net


def image(height=96, width=64, batch=1):
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(height * width))


def loss_of(outputs):
    return sum(level.square().mean() for level in outputs)


def gradients_of(net, x):
    net.zero_grad()
    loss_of(net(x)).backward()
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.requires_grad}


def assert_close(ours, theirs, tolerance=1e-4):
    for our, their in zip_equal(ours, theirs):
        torch.testing.assert_close(our, their, rtol=0, atol=tolerance * float(their.detach().abs().max()))


HALF = pytest.param(
    torch.float16,
    0.02,
    marks=pytest.mark.skipif(torch.__version__ < (2, 4), reason='autocast of an older torch knows only bfloat16 on a CPU'),
)


@pytest.mark.parametrize('dtype, tolerance', [(torch.bfloat16, 0.1), HALF])
def test_autocast(dtype, tolerance, net):
    exact, exact_gradients = net(image()), gradients_of(net, image())
    net.zero_grad()
    with torch.autocast('cpu', dtype):
        outputs = net(image())
    loss_of(level.float() for level in outputs).backward()
    assert all(level.dtype == dtype for level in outputs)
    assert_close([level.float() for level in outputs], exact, tolerance)
    for name, gradient in exact_gradients.items():
        grad = net.get_parameter(name).grad
        assert grad.dtype == torch.float32 and grad.isfinite().all()
        # Of sums at ReLU's corner, some are rounded to its other side.
        assert (grad - gradient).norm() <= 0.3 * gradient.norm(), name


def test_a_feature_is_used_twice(net):
    x = image().double()
    net.double()
    first, second, _ = (torch.randn_like(level) for level in net(x))
    terms = (lambda f: (f[0] * first).sum(), lambda f: (f[0] * f[0]).sum(), lambda f: (f[1] * second + f[2].sum()).sum())
    features = net(x)
    sum(term(features) for term in terms).backward()
    together = [p.grad.clone() for p in net.parameters() if p.requires_grad]
    net.zero_grad()
    for term in terms:
        term(net(x)).backward()
    assert_close(together, [p.grad for p in net.parameters() if p.requires_grad], 1e-12)


def test_hooks_on_every_module_see_what_they_would_and_change_nothing(net):
    x = image().double()
    expected = net.double()(x)
    gradients = gradients_of(net, x)
    held, backward = [], set()
    names = {module: name for name, module in net.named_modules()}
    for module in net.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda module, _, out: held.append((module, out, out.detach().clone())))
            module.register_full_backward_hook(lambda module, *_: backward.add(names[module]))
    outputs = net(x)
    net.zero_grad()
    loss_of(outputs).backward()
    seen = {names[module] for module, *_ in held}
    leaves = {name for name, module in net.named_modules() if not list(module.children())}
    assert seen == leaves
    assert backward >= {name for name in leaves if 'conv' in name and not name.startswith('stem')}
    assert all(torch.equal(out, then) for _, out, then in held)
    assert_close(outputs, expected, 1e-12)
    for name, gradient in gradients.items():
        torch.testing.assert_close(net.get_parameter(name).grad, gradient, rtol=1e-9, atol=1e-12)


def test_with_cp_and_autocast(small_fish, net):
    again = FishNet(arch=small_fish(2), out_indices=(0, 1, 2), with_cp=True)
    again.load_state_dict(net.state_dict())
    with torch.autocast('cpu', torch.bfloat16):
        for (name, ours), theirs in zip(gradients_of(again, image()).items(), gradients_of(net, image()).values()):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.skipif(torch.__version__ < (2, 6), reason='older compilers make more graphs')
@pytest.mark.parametrize('learns', [False, True])
def test_compiled_without_a_break_and_not_again_for_each_size(learns, net):
    counters.clear()
    torch._dynamo.reset()
    net.train(learns)
    # The graph is what is tested here, and how often it is made: not the compiler behind it.
    compiled = torch.compile(net, backend='aot_eager', fullgraph=True)
    for size in SIZES:
        x = image(*size)
        with torch.set_grad_enabled(learns):
            assert_close(compiled(x), net(x))
        if learns:
            ours, theirs = gradients_of(compiled, x), gradients_of(net, x)
            assert_close(ours.values(), theirs.values(), 1e-3)
    # For the first size, and for all others.
    assert counters['stats']['unique_graphs'] == 2 and not counters['graph_break']


@pytest.mark.skipif(torch.__version__ < (2, 1), reason='the compiler of torch 2.0 fails on this network')
@pytest.mark.skipif(not shutil.which('g++'), reason='the default compiler of torch needs g++')
def test_compiled_by_the_default_compiler(small_fish):
    tiny = FishNet(arch=dict(small_fish(2), tail_units=(1, 1), body_units=(1, 1)), out_indices=(0, 1)).eval()
    torch._dynamo.reset()
    with torch.no_grad():
        assert_close(torch.compile(tiny)(image()), tiny(image()))


def test_traced(net):
    net.eval()
    with torch.no_grad():
        traced = torch.jit.trace(net, image())
        assert_close(traced(image(128, 96)), net(image(128, 96)))


@pytest.mark.skipif(torch.__version__ < (2, 6), reason='dynamic sizes are written so from torch 2.6 on')
def test_exported_for_all_sizes(net):
    net.eval()
    sizes = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    exported = torch.export.export(net, (image(),), dynamic_shapes=(sizes,)).module()
    for size in SIZES:
        assert_close(exported(image(*size)), net(image(*size)))


@pytest.mark.skipif(torch.__version__ < (2, 6), reason='dynamic sizes are written so from torch 2.6 on')
def test_exported_to_onnx(net, tmp_path):
    for package in ('onnx', 'onnxscript'):
        pytest.importorskip(package, reason=f'{package} writes what is exported: pip install -r requirements/dev.txt')
    runtime = pytest.importorskip('onnxruntime', reason='it runs what is exported: pip install -r requirements/dev.txt')
    net.eval()
    file = str(tmp_path / 'fish.onnx')
    sizes = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    torch.onnx.export(net, (image(),), file, dynamo=True, dynamic_shapes=(sizes,), verbose=False)
    session = runtime.InferenceSession(file)
    for size in SIZES[:2]:
        outputs = session.run(None, {session.get_inputs()[0].name: image(*size).numpy()})
        with torch.no_grad():
            assert_close(map(torch.from_numpy, outputs), net(image(*size)))


def test_copies_compute_the_same(net):
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    loaded = FishNet(arch=net.fish, out_indices=(0, 1, 2))
    loaded.load_state_dict(torch.load(file, weights_only=True))
    expected, gradients = net(image()), gradients_of(net, image())
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), loaded):
        assert all(torch.equal(ours, theirs) for ours, theirs in zip_equal(twin(image()), expected))
        assert all(torch.equal(gradient, gradients[name]) for name, gradient in gradients_of(twin, image()).items())


def test_weights_trained_before_are_the_same_afterwards(net):
    """What compiles, hooks or copies a network must not rename its tensors."""
    names = list(net.state_dict())
    assert {name.split('.')[0] for name in names} == {'stem', 'tail', 'bridge', 'body', 'head'}
    assert [name.removeprefix('_orig_mod.') for name in torch.compile(net).state_dict()] == names


def train_in_part(rank, processes, port, fish, states, file):
    """Three steps of one process, whose share of the global batch of 4 is its own part."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=rank, world_size=processes)
    net = FishNet(arch=fish, out_indices=(0, 1, 2))
    net.load_state_dict(states)
    net = DistributedDataParallel(net.double().train())
    optimizer = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9)
    losses = []
    for step in range(3):
        batch = image(64, 96 + 32 * step, 4).double().chunk(processes)[rank]
        loss = loss_of(net(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss = loss.detach()
        dist.all_reduce(loss)
        losses.append(float(loss) / processes)
    if rank == 0:
        np.savez(file, losses=losses, **{name: p.detach().numpy() for name, p in net.module.named_parameters()})
    dist.destroy_process_group()


def test_two_processes_are_one_with_the_same_global_batch(net, small_fish, tmp_path):
    results = []
    for processes in (1, 2):
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        file = tmp_path / f'{processes}.npz'
        mp.spawn(train_in_part, (processes, port, small_fish(2), net.state_dict(), file), nprocs=processes)
        results.append(np.load(file))
    one, two = results
    assert set(one) == set(two) and len(one['losses']) == 3
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-10, atol=1e-12, err_msg=name)
    # They learned, or else equal weights would say nothing.
    moved = [name for name, before in net.named_parameters() if np.abs(one[name] - before.detach().numpy()).max() > 0]
    assert len(moved) > 40
