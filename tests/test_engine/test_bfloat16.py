"""Mixed precision on the CPU: what is computed in bfloat16, and what stays in float32."""

import pytest
import torch
from conftest import TINY_FISH
from torch import nn

from fishnet_mmdet.engine import BFloat16OptimWrapper
from fishnet_mmdet.registry import MODELS, OPTIM_WRAPPERS


@pytest.fixture
def model():
    torch.manual_seed(0)
    backbone = dict(type='FishNet', arch=TINY_FISH, out_indices=(3,), norm_cfg=dict(type='BN'), norm_eval=False)
    model = MODELS.build(
        dict(
            type='Classifier',
            backbone=dict(backbone, frozen_stages=-1),
            cls_head=dict(type='ClassificationHead', num_classes=5),
        )
    )
    model.init_weights()
    return model


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(8, 3, 64, 64, generator=generator), torch.arange(8) % 5


def wrapper(model, type_='fishnet_mmdet.BFloat16OptimWrapper'):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return OPTIM_WRAPPERS.build(dict(type=type_, optimizer=optimizer))


def convolution_types(model):
    found = set()
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda conv, args, out: found.add(out.dtype))
    return found


def test_computes_in_bfloat16_and_keeps_float32(model, batch, snapshot):
    optim_wrapper, types, before = wrapper(model), convolution_types(model), snapshot(model)
    assert type(optim_wrapper) is BFloat16OptimWrapper
    with optim_wrapper.optim_context(model):
        loss = model(*batch, mode='loss')['loss']
    assert types == {torch.bfloat16}
    assert loss.dtype == torch.float32
    optim_wrapper.update_params(loss)
    for name, parameter in model.named_parameters():
        assert parameter.dtype == torch.float32, name
        assert parameter.grad is None or parameter.grad.dtype == torch.float32, name
    for name, tensor in model.state_dict().items():
        assert tensor.isfinite().all(), name
        assert tensor.dtype == before[name].dtype, name
        assert not torch.equal(tensor, before[name]), name


def test_a_region_keeps_its_place():
    """The feature at x is x, so a bin has the x of its middle, which bfloat16 rounds to a whole pixel."""
    extractor = MODELS.build(
        dict(
            type='mmdet.SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=(1, 2), sampling_ratio=0),
            out_channels=1,
            featmap_strides=[1],
        )
    )
    feature = torch.arange(256.0).bfloat16().expand(1, 1, 8, 256)
    model = nn.ModuleList([extractor, nn.Conv2d(1, 1, 1)])
    with wrapper(model).optim_context(model):
        bins = extractor((feature,), torch.tensor([[0, 200.3, 2.0, 210.3, 6.0]]))
    # The middle of the pixel at x is x + 0.5.
    torch.testing.assert_close(bins, torch.tensor([202.3, 207.3]).view(1, 1, 1, 2), atol=1e-3, rtol=0)


def test_points_of_dense_heads_keep_their_places():
    head = MODELS.build(
        dict(
            type='mmdet.FCOSHead',
            num_classes=2,
            in_channels=4,
            feat_channels=4,
            stacked_convs=1,
            strides=[8, 16],
            norm_cfg=None,
        )
    )
    types, maps = convolution_types(head), [torch.rand(1, 4, 2, 160), torch.rand(1, 4, 1, 80)]
    with wrapper(head).optim_context(head):
        outputs = head(maps)
        sizes = [one.shape[-2:] for one in outputs[1]]
        points = head.prior_generator.grid_priors(sizes, dtype=outputs[1][0].dtype, device='cpu')
    assert types == {torch.bfloat16}
    assert {one.dtype for group in outputs for one in group} == {torch.float32}
    assert torch.equal(points[0][:160, 0], 4 + 8 * torch.arange(160.0))
    types.clear()
    head(maps)
    assert types == {torch.float32}
    assert not head._forward_hooks


def product_type():
    return torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype


def test_the_context_ends(model, batch):
    optim_wrapper = wrapper(model)
    with optim_wrapper.optim_context(model):
        assert product_type() == torch.bfloat16
    assert product_type() == torch.float32
    types = convolution_types(model)
    model(*batch, mode='loss')
    assert types == {torch.float32}


def test_gradients_are_those_of_float32_roughly(model, batch):
    gradients = []
    for type_ in ('fishnet_mmdet.BFloat16OptimWrapper', 'OptimWrapper'):
        model.zero_grad()
        with wrapper(model, type_).optim_context(model):
            loss = model(*batch, mode='loss')['loss']
        loss.backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.cls_head.parameters()]))
    bfloat16, float32 = gradients
    assert not torch.equal(bfloat16, float32)
    assert torch.cosine_similarity(bfloat16, float32, dim=0) > 0.95
