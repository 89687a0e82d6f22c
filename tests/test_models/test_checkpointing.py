"""Gradient checkpointing: equal gradients, each stage computed twice, and less memory saved."""

import weakref

import pytest
import torch
from equal_lengths import zip_equal
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from fishnet_mmdet import FishNet
from fishnet_mmdet.models.fish import Stage
from fishnet_mmdet.models.units import Options, refine_units, transfer_units

TRAINABLE = dict(norm_cfg=dict(type='BN'), norm_eval=False, frozen_stages=-1)
#: Of 800x1344 pixels, for FishNet-150: MiB saved for the backward pass, and at the peak of forward and backward pass.
MEASURED = {
    ('frozen', False): (1619, 1866),
    ('frozen', True): (648, 1385),
    ('trained', False): (3021, 3234),
    ('trained', True): (959, 1779),
}


class Memory(TorchDispatchMode):
    """Counts the bytes of all tensors that operators made and that are alive."""

    def __init__(self):
        super().__init__()
        self.alive = {}
        self.peak = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_flatten(out)[0]:
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if id(storage) not in self.alive:
                    self.alive[id(storage)] = storage.nbytes()
                    weakref.finalize(storage, self.alive.pop, id(storage))
        self.peak = max(self.peak, self.total)
        return out

    @property
    def total(self):
        return sum(self.alive.values())


def image(number=2, size=64):
    return torch.randn(number, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize('fused', [True, False])
@pytest.mark.parametrize('norm_eval', [True, False])
@pytest.mark.parametrize('trained_norm', [True, False])
@pytest.mark.parametrize('frozen_stages', [-1, 0, 3])
def test_gradients_are_equal_and_stages_are_computed_twice(frozen_stages, trained_norm, norm_eval, fused, small_net):
    results = []
    for with_cp in (False, True):
        norm_cfg = dict(type='BN', requires_grad=trained_norm)
        net = small_net(frozen_stages=frozen_stages, norm_cfg=norm_cfg, norm_eval=norm_eval, with_cp=with_cp, fused=fused)
        calls = []
        rows = (net.bridge.refine, net.body['stage2'].refine, net.head['stage1'].refine, net.head['stage2'].transfer)
        for row in rows:
            row[0].conv1.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        outputs = net.double().train()(image())
        sum(x.square().mean() for x in outputs).backward()
        assert len(calls) == len(rows) * (1 + with_cp)
        gradients = {name: p.grad for name, p in net.named_parameters() if p.requires_grad}
        assert all(gradient is not None for gradient in gradients.values())
        results.append([*outputs, *gradients.values()])
    for without, with_cp in zip_equal(*results):
        torch.testing.assert_close(with_cp, without, rtol=1e-12, atol=1e-12)


def test_a_row_without_units(small_fish):
    """Where the only unit of a stage is the one that halves the resolution."""
    net = FishNet(arch=dict(small_fish(), down='conv'), with_cp=True, **TRAINABLE)
    assert len(net.head['stage1'].refine) == 0
    sum(x.square().mean() for x in net(image().float())).backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())


def test_nothing_is_computed_twice_without_gradients(small_net):
    net = small_net(with_cp=True).eval()
    calls = []
    net.tail['stage1'][0].conv1.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        net(image().float())
    assert calls == [1]


def test_a_row_saves_its_input_alone():
    """Units of 8 channels: the row of three saves no more than the input, of 2 * 8 * 4 * 4 values."""
    stage = Stage(1, in_channels=8, out_channels=8, units=3, skip_channels=8, transfers=3)
    for make in (refine_units, transfer_units):
        x = torch.rand(2, 8, 4, 4, requires_grad=True)
        with Memory() as memory:
            row = make(stage, Options(dict(type='BN'), with_cp=True))
            before = memory.total
            y = row(x)
            # The output, and the state of the random numbers.
            saved = memory.total - before - 4 * y.numel()
        assert saved <= 6000
        y.sum().backward()
        assert x.grad.isfinite().all()


@pytest.mark.skipif(torch.__version__ < (2, 1), reason='before torch 2.1 a storage is a new object each time one asks for it')
@pytest.mark.parametrize('norm, settings', [('frozen', {}), ('trained', TRAINABLE)])
def test_memory_is_what_the_documentation_says(norm, settings):
    """Meta tensors have sizes and no values."""
    found = {}
    for with_cp in (False, True):
        with torch.device('meta'):
            net = FishNet(150, with_cp=with_cp, **settings).train()
            x = torch.empty(1, 3, 800, 1344)
            with Memory() as memory:
                outputs = net(x)
                saved = memory.total
                torch.autograd.backward(outputs, [torch.empty_like(level) for level in outputs])
        found[norm, with_cp] = saved / 2**20, memory.peak / 2**20
        print(
            f'{norm} BN, with_cp={with_cp}: {found[norm, with_cp][0]:.0f} MiB saved, {found[norm, with_cp][1]:.0f} at the peak'
        )
    for key, values in found.items():
        assert values == pytest.approx(MEASURED[key], rel=0.02)
