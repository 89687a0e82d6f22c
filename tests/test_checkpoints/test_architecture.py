"""Telling from names and shapes which network a checkpoint holds, and as a part of what."""

from dataclasses import replace

import pytest
import torch
from mmdet.models import ResNet

from fishnet_mmdet import FishNet
from fishnet_mmdet.analysis.released_fishnet import ReleasedFishNet
from fishnet_mmdet.checkpoints.architecture import architecture, describe, detect
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.models import FISHES, FISHNEXTS, ClassificationHead, FishNeXt


def on_meta(make):
    with torch.device('meta'):
        return make().state_dict()


def under(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


@pytest.fixture
def backbone(small_net):
    return small_net().state_dict()


@pytest.fixture
def cls_head():
    return ClassificationHead(144, num_classes=10).state_dict()


@pytest.mark.parametrize('prefix', ['', 'module.'])
@pytest.mark.parametrize('depth', [99, 150, 201])
def test_the_released_models(depth, prefix):
    released = on_meta(lambda: ReleasedFishNet(depth))
    found = detect(under(prefix, released), 'x.tar')
    assert found.kind == 'authors'
    assert found.architecture == (f'FishNet-{depth}', 'FishNet', depth)
    assert found.description == describe(under(prefix, released)) == f'a released classifier, FishNet-{depth}'
    ours = on_meta(lambda: FishNet(depth))
    assert {name: tensor.shape for name, tensor in found.backbone.items()} == {n: t.shape for n, t in ours.items()}
    assert len(found.cls_head) == len(released) - len(ours) and not found.other


@pytest.mark.parametrize('network, depth', [*((FishNet, d) for d in FISHES), *((FishNeXt, d) for d in FISHNEXTS)])
def test_every_row_of_the_tables_and_whatever_of_its_head_was_built(network, depth):
    num_stages = (FISHES if network is FishNet else FISHNEXTS)[depth].num_stages
    for last in range(num_stages + 1):
        for head_output in ('refined', 'concat'):
            weights = on_meta(lambda: network(depth, out_indices=(last,), head_output=head_output))  # noqa: B023  called now
            assert architecture(weights) == (f'{network.__name__}-{depth}', network.__name__, depth)


def test_group_norm_is_no_other_architecture():
    weights = on_meta(lambda: FishNet(99, norm_cfg=dict(type='GN', num_groups=16)))
    assert architecture(weights).name == 'FishNet-99'


@pytest.mark.parametrize('num_stages', [2, 3, 4])
def test_a_fish_of_ones_own(num_stages, small_net, small_fish):
    found = architecture(small_net(num_stages).state_dict())
    fish = small_fish(num_stages)
    assert found.depth is None
    for part in (f'{num_stages} stages', ', '.join(map(str, fish['tail_units'])), ', '.join(map(str, fish['tail_channels']))):
        assert part in found.name


def test_a_fish_with_a_known_ones_units_and_other_channels():
    fish = replace(FISHES[150], tail_channels=(128, 256, 320), head_channels=(320, 832, 1600))
    found = architecture(on_meta(lambda: FishNet(arch=fish)))
    assert found.depth is None and 'units of FishNet-150' in found.name


def test_fewer_units_are_another_fish():
    """All tensors of 99 are in 150 too, with the same shapes."""
    weights = on_meta(lambda: FishNet(150))
    del_unit = {name: tensor for name, tensor in weights.items() if not name.startswith('tail.stage2.3.')}
    assert len(del_unit) < len(weights)
    assert architecture(del_unit).depth is None


@pytest.mark.parametrize('block', ['tail.stage2.', 'bridge.', 'body.stage1.transfer.'])
def test_a_fish_without_a_part_is_not_named_for_the_whole(block):
    weights = {name: tensor for name, tensor in on_meta(lambda: FishNet(99)).items() if not name.startswith(block)}
    assert architecture(weights).depth is None


def test_weights_of_strange_shapes_are_described(backbone):
    broken = {name: tensor.reshape(-1) for name, tensor in backbone.items()}
    assert '?, ?, ?' in describe(broken)


@pytest.mark.parametrize('prefix', ['', 'module.', 'detector.', 'module.student.'])
def test_where_the_backbone_stands(prefix, backbone, cls_head):
    neck = {f'{prefix}neck.conv.weight': torch.ones(2)}
    for kind, given in {
        'classifier': {**under(f'{prefix}backbone.', backbone), **under(f'{prefix}cls_head.', cls_head)},
        'backbone': under(f'{prefix}backbone.', backbone),
        'detector': {**neck, **under(f'{prefix}backbone.', backbone)},
    }.items():
        found = detect(given, 'x.pth')
        assert found.kind == kind
        assert kind == 'backbone' or f'a {kind} with' in describe(given)
        assert found.backbone.keys() == backbone.keys()
        assert all(found.backbone[name] is tensor for name, tensor in backbone.items())
        assert found.cls_head.keys() == (cls_head.keys() if kind == 'classifier' else set())
        assert found.other == (neck if kind == 'detector' else {})


def test_a_plain_state_dict(backbone):
    found = detect(backbone, 'x.pth')
    assert found.kind == 'backbone' and found.backbone == backbone and not found.cls_head and not found.other


def test_teacher_and_student_that_differ_have_to_be_named(backbone):
    student = {**backbone, 'stem.conv1.weight': backbone['stem.conv1.weight'] + 1}
    weights = {**under('teacher.backbone.', backbone), **under('student.backbone.', student)}
    with pytest.raises(FishNetError) as error:
        detect(weights, 'x.pth')
    for word in ('x.pth', "'teacher.backbone.'", "'student.backbone.'", 'prefix='):
        assert word in str(error.value)
    assert 'several' in describe(weights)
    for prefix in ('student.backbone.', 'student.backbone'):
        assert detect(weights, 'x.pth', prefix).backbone['stem.conv1.weight'] is student['stem.conv1.weight']
    assert detect(weights, 'x.pth', 'teacher.backbone.').backbone['stem.conv1.weight'] is backbone['stem.conv1.weight']
    with pytest.raises(FishNetError, match='below .backbone.*teacher.backbone'):
        detect(weights, 'x.pth', 'backbone')


def test_teacher_and_student_that_are_equal_are_one(backbone):
    copies = {name: tensor.clone() for name, tensor in backbone.items()}
    found = detect({**under('teacher.backbone.', backbone), **under('student.backbone.', copies)}, 'x.pth')
    assert found.kind == 'detector'
    assert torch.equal(found.backbone['stem.conv1.weight'], backbone['stem.conv1.weight'])


def test_no_fishnet():
    weights = on_meta(lambda: ResNet(50))
    for given in (weights, {'stem.conv1.weight': torch.ones(1), 'stages.0.weight': torch.ones(1)}):
        with pytest.raises(FishNetError, match=f'x.pth holds no FishNet.*{list(given)[0]}'):
            detect(given, 'x.pth')
        assert 'no FishNet' in describe(given)
