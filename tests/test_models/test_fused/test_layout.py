"""The layout that the network computes in, and the one that it returns."""

import pytest
import torch
import torch.nn as nn
from mmcv.ops import roi_align
from mmdet.models.necks import FPN
from safetensors.torch import save_file

from fishnet_mmdet import FishNet
from fishnet_mmdet.models.fused import layout
from fishnet_mmdet.models.fused.layout import to_contiguous
from fishnet_mmdet.ops import installed


@pytest.fixture(params=[True, False], ids=['ours', 'compiled'])
def operators_are_ours(request, monkeypatch):
    """Whether our operators are in effect, as the network is told."""
    monkeypatch.setattr(layout, 'installed', lambda: request.param)
    return request.param


@pytest.mark.parametrize('shape', [(2, 3, 4, 5), (1, 6, 7, 1), (1, 2, 1, 1)])
def test_values_and_gradients_are_kept(shape):
    x = torch.randn(shape).contiguous(memory_format=torch.channels_last).requires_grad_()
    y = to_contiguous(x)
    assert torch.equal(x, y) and y.is_contiguous()
    weights = torch.randn(shape)
    (gradient,) = torch.autograd.grad(y, x, weights)
    assert torch.equal(gradient, weights)


def test_what_is_contiguous_is_not_copied():
    x = torch.randn(1, 2, 3, 4)
    assert to_contiguous(x).data_ptr() == x.data_ptr()


def test_what_the_fast_path_keeps_is_channels_last(small_fish):
    """A hook on a convolution would lead around the fast path: this looks at what it keeps."""
    net = FishNet(arch=small_fish(), frozen_stages=-1, out_indices=(0, 1, 2, 3))
    parameters = {parameter.data_ptr() for parameter in net.parameters()}
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        outputs = net(torch.randn(2, 3, 64, 96))
    features = [t for t in kept if t.dim() == 4 and t.data_ptr() not in parameters and t.shape[-1] > 1]
    assert len(features) > 40 and all(t.is_contiguous(memory_format=torch.channels_last) for t in features)
    assert len(outputs) == 4


@pytest.mark.parametrize('learns', [True, False])
def test_computes_channels_last_and_returns_what_the_operators_read(learns, operators_are_ours, small_fish):
    net = FishNet(arch=small_fish(), out_indices=(0, 1, 2, 3))
    layouts = []
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda module, inputs, out: layouts.append(out.is_contiguous(memory_format=torch.channels_last))
            )
    with torch.set_grad_enabled(learns):
        outputs = net(torch.randn(2, 3, 64, 96))
    assert len(layouts) > 40 and all(layouts)
    assert all(level.is_contiguous(memory_format=torch.channels_last) == operators_are_ours for level in outputs)
    assert all(level.is_contiguous() != operators_are_ours for level in outputs)


def test_weights_are_contiguous_as_safetensors_wants_them(small_fish, tmp_path):
    save_file(FishNet(arch=small_fish()).state_dict(), tmp_path / 'x.safetensors')


def test_regions_of_what_a_neck_makes_of_the_features(small_fish):
    """RoIAlign is right on the layout that the network returns, with our operators and with mmcv's compiled ones."""
    net = FishNet(arch=small_fish(), out_indices=(0, 1, 2, 3)).eval()
    neck = FPN(list(net.out_channels), 8, num_outs=4).eval()
    neck.init_weights()
    regions = torch.tensor([[0, 1.0, 2, 9, 11], [1, 3, 1, 14, 9]])
    with torch.no_grad():
        level = neck(net(torch.randn(2, 3, 64, 96)))[0]
        assert level.is_contiguous() != installed()
        expected = roi_align(level.contiguous(), regions, (3, 3), 1.0, 2)
        torch.testing.assert_close(roi_align(level, regions, (3, 3), 1.0, 2), expected)
        other = roi_align(level.contiguous(memory_format=torch.channels_last), regions, (3, 3), 1.0, 2)
    # If compiled operators come to read both layouts too, the network need not return contiguous features for them.
    assert torch.allclose(other, expected) == installed()
