"""The variants: their numbers as published, fish of one's own, and the refusal of numbers that make no fish."""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict

from fishnet_mmdet import Fish, FishNet
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.models import FISHES, Score
from fishnet_mmdet.models.fish import get_fish
from fishnet_mmdet.models.units import ResidualUnit

OUT_CHANNELS = {2: (32, 80, 112), 4: (16, 72, 116, 172, 204)}


def without(fish, name):
    return {key: value for key, value in fish.items() if key != name}


def num_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    'depth, backbone, classifier',
    [
        (99, 13335296, 16628904),
        (150, 21665792, 24959400),
        (201, 41290944, 44584552),
    ],
)
def test_depths_have_the_published_numbers_of_parameters(depth, backbone, classifier):
    with torch.device('meta'):
        net = FishNet(depth)
        score = Score(net.out_channels[-1])
    assert get_fish(depth).depth == depth
    assert num_parameters(net) == backbone
    assert num_parameters(net) + num_parameters(score) == classifier


def test_no_other_depths():
    assert list(FISHES) == [99, 150, 201]


@pytest.mark.parametrize('depth', [99, 150, 201])
def test_features_of_the_released_depths(depth):
    fish = get_fish(depth)
    assert fish.num_stages == 3
    assert fish.tail_features == (64, 128, 256, 512)
    assert fish.body_features == (512, 768, 512, 320)
    assert fish.head_features == (320, 832, 1600, 2112)
    assert fish.strides == (4, 8, 16, 32)
    assert fish.body_dilations == (1, 2, 4)
    assert fish.head_dilations == (1, 1, 1)


@pytest.mark.parametrize('form', [dict, ConfigDict, lambda fish: Fish(**fish)], ids=['dict', 'ConfigDict', 'Fish'])
@pytest.mark.parametrize('num_stages, depth', [(2, 3 * 14 + 12), (4, 3 * 25 + 12)])
def test_custom_fish_trains(form, num_stages, depth, small_fish):
    net = MODELS.build(
        dict(
            type='FishNet',
            depth=form(small_fish(num_stages)),
            out_indices=list(range(num_stages + 1)),
            norm_cfg=dict(type='BN'),
            norm_eval=False,
            frozen_stages=-1,
        )
    )
    assert net.fish == Fish(**small_fish(num_stages))
    assert net.fish.depth == depth == 3 * sum(isinstance(module, ResidualUnit) for module in net.modules()) + 12
    assert net.out_channels == OUT_CHANNELS[num_stages]
    assert net.out_strides == (4, 8, 16, 32, 64)[: num_stages + 1]

    torch.manual_seed(0)
    net.init_weights()
    outputs = net(torch.randn(2, 3, 128, 64))
    assert [tuple(x.shape) for x in outputs] == [
        (2, channels, 128 // stride, 64 // stride) for channels, stride in zip(net.out_channels, net.out_strides)
    ]
    sum(x.square().mean() for x in outputs).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_custom_fish_has_its_units_and_dilations(small_fish):
    net = FishNet(small_fish(4), out_indices=(0, 1, 2, 3, 4))
    assert [len(stage) for stage in net.tail.values()] == [1, 1, 1, 2]
    assert len(net.bridge.refine) == 2
    assert list(net.body) == ['stage4', 'stage3', 'stage2', 'stage1']
    assert [len(stage.refine) for stage in net.body.values()] == [1, 1, 2, 1]
    assert [len(stage.refine) for stage in net.head.values()] == [1, 2, 1, 1]
    for part, dilations in ((net.body, (1, 2, 4, 8)), (net.head, (1, 1, 2, 1))):
        for stage, dilation in zip(part.values(), dilations, strict=True):
            assert {unit.conv2.dilation for unit in stage.refine} == {(dilation, dilation)}
            assert {unit.conv2.dilation for unit in stage.transfer} == {(1, 1)}
    net = FishNet(small_fish(2), out_indices=(0, 1, 2))
    assert [unit.conv2.dilation for unit in net.body['stage1'].refine] == [(2, 2), (2, 2)]
    assert len(net.head['stage2'].transfer) == 2


def test_fish_of_lists_and_of_tuples_are_one(small_fish):
    arguments = small_fish(2)
    lists = {name: list(value) if isinstance(value, tuple) else value for name, value in arguments.items()}
    assert Fish(**lists) == Fish(**arguments)
    assert hash(Fish(**lists)) == hash(Fish(**arguments))


@pytest.mark.parametrize(
    'depth',
    [
        50,
        '150',
        True,
        None,
        99.5,
        [99],
    ],
)
def test_unknown_depth_is_refused(depth):
    with pytest.raises(FishNetError) as error:
        get_fish(depth)
    for part in (repr(depth), '99, 150, 201', 'dict'):
        assert part in str(error.value)


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda fish: dict(fish, tail_unit=1), ['no tail_unit:', 'tail_units', 'head_dilations']),
        (lambda fish: dict(fish, depth=150), ['no depth:', 'tail_units']),
        (lambda fish: {**fish, 1: 2}, ['no 1:']),
        (lambda fish: without(fish, 'bridge_units'), ['needs bridge_units']),
        (lambda fish: without(without(fish, 'tail_units'), 'head_transfers'), ['needs tail_units, head_transfers']),
        (lambda fish: dict(fish, body_units=(1,)), ['tail_units has 2', 'body_units has 1', '(1,)']),
        (lambda fish: dict(fish, tail_units=(1, 1, 1)), ['tail_units has 3', 'body_units has 2']),
        (lambda fish: without(fish, 'body_dilations'), ['tail_units has 2', 'body_dilations has 3']),
        (lambda fish: dict(fish, tail_units=()), ['tail_units', '()']),
        (lambda fish: dict(fish, tail_units=(0, 1)), ['tail_units', 'positive', '(0, 1)']),
        (lambda fish: dict(fish, head_units=(1, -1)), ['head_units', 'positive', '(1, -1)']),
        (lambda fish: dict(fish, head_units=(1, True)), ['head_units', 'positive', '(1, True)']),
        (lambda fish: dict(fish, body_channels=(32.0, 24)), ['body_channels', 'integers', '(32.0, 24)']),
        (lambda fish: dict(fish, body_transfers=1), ['body_transfers', 'one for each stage', '1']),
        (lambda fish: dict(fish, body_transfers='11'), ['body_transfers', 'one for each stage', "'11'"]),
        (lambda fish: dict(fish, bridge_units=0), ['bridge_units', 'positive', '0']),
        (lambda fish: dict(fish, bridge_units=(1,)), ['bridge_units', 'a positive integer', '(1,)']),
        (lambda fish: dict(fish, stem_channels=True), ['stem_channels', 'positive', 'True']),
        (lambda fish: dict(fish, stem_channels=10), ['stem_channels', 'multiples of 4', '10']),
        (lambda fish: dict(fish, tail_channels=(18, 32)), ['tail_channels', 'multiples of 4', '18']),
        (lambda fish: dict(fish, body_channels=(32, 6)), ['body_channels', 'multiples of 4', '6']),
        (lambda fish: dict(fish, bridge_channels=40), ['bridge_channels', 'multiple of 16', '40']),
        (lambda fish: dict(fish, body_channels=(20, 24)), ['body stage 2', 'sum 32 channels to 20', 'divide 32']),
        (lambda fish: dict(fish, body_channels=(32, 20)), ['body stage 1', 'sum 48 channels to 20', 'divide 48']),
        (lambda fish: dict(fish, head_channels=(36, 80)), ['head stage 1', 'must be 32', '36']),
        (lambda fish: dict(fish, head_channels=(32, 48)), ['head stage 2', 'must be 80', '48']),
    ],
)
def test_misfit_is_refused(change, words, small_fish):
    depth = change(small_fish(2))
    with pytest.raises(FishNetError) as error:
        get_fish(depth)
    for word in words:
        assert word in str(error.value)
    with pytest.raises(FishNetError):
        MODELS.build(ConfigDict(type='FishNet', depth=depth, out_indices=(0, 1, 2)))
