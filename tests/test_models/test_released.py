"""The released names in ours."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from released import fill_by_rule

from fishnet_mmdet import FishNet
from fishnet_mmdet.analysis.released_fishnet import ReleasedFishNet
from fishnet_mmdet.models import ClassificationHead
from fishnet_mmdet.models.released import rename_released, source_of

DATA = Path(__file__).parents[1] / 'data'
KEYS = [(name, tuple(shape)) for name, shape in json.loads((DATA / 'fishnet99_released_keys.json').read_text())]
#: Of every kind of name, and from every part.
NAMES = {
    'conv1.0.weight': 'stem.conv1.weight',
    'conv3.1.running_var': 'stem.norm3.running_var',
    'fish.fish.0.0.0.bn1.weight': 'tail.stage1.0.norm1.weight',
    'fish.fish.0.0.0.shortcut.0.bias': 'tail.stage1.0.shortcut.norm.bias',
    'fish.fish.0.0.0.shortcut.2.weight': 'tail.stage1.0.shortcut.conv.weight',
    'fish.fish.2.0.5.conv2.weight': 'tail.stage3.5.conv2.weight',
    'fish.fish.3.0.0.running_mean': 'bridge.norm1.running_mean',
    'fish.fish.3.0.2.weight': 'bridge.conv1.weight',
    'fish.fish.3.0.3.num_batches_tracked': 'bridge.norm2.num_batches_tracked',
    'fish.fish.3.1.bias': 'bridge.conv2.bias',
    'fish.fish.3.2.1.conv3.weight': 'bridge.refine.1.conv3.weight',
    'fish.fish.3.2.0.shortcut.0.running_var': 'bridge.refine.0.shortcut.norm.running_var',
    'fish.fish.3.3.0.0.weight': 'bridge.attention.norm.weight',
    'fish.fish.3.3.0.3.weight': 'bridge.attention.conv1.weight',
    'fish.fish.3.3.0.5.bias': 'bridge.attention.conv2.bias',
    'fish.fish.4.0.0.bn2.bias': 'body.stage3.refine.0.norm2.bias',
    'fish.fish.4.1.0.conv1.weight': 'body.stage3.transfer.0.conv1.weight',
    'fish.fish.6.0.0.conv1.weight': 'body.stage1.refine.0.conv1.weight',
    'fish.fish.6.1.0.bn3.weight': 'body.stage1.transfer.0.norm3.weight',
    'fish.fish.7.0.0.conv1.weight': 'head.stage1.refine.0.conv1.weight',
    'fish.fish.8.0.1.bn1.running_mean': 'head.stage2.refine.1.norm1.running_mean',
    'fish.fish.9.0.1.conv3.weight': 'head.stage3.refine.1.conv3.weight',
    'fish.fish.9.1.3.bn2.weight': 'head.stage3.transfer.3.norm2.weight',
    'fish.fish.9.3.0.weight': 'cls_head.norm1.weight',
    'fish.fish.9.3.2.weight': 'cls_head.conv1.weight',
    'fish.fish.9.3.3.running_var': 'cls_head.norm2.running_var',
    'fish.fish.9.4.1.bias': 'cls_head.conv2.bias',
}


def ours(depth):
    """Names and shapes of the backbone and the cls_head."""
    with torch.device('meta'):
        net = FishNet(depth)
        cls_head = ClassificationHead(net.out_channels[-1])
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    shapes.update({f'cls_head.{name}': tuple(tensor.shape) for name, tensor in cls_head.state_dict().items()})
    return shapes


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_every_released_name_of_99_has_one_of_ours(prefix):
    renamed = rename_released({prefix + name: (name, shape) for name, shape in KEYS})
    assert len(renamed) == len(KEYS)
    assert {name: shape for name, (_, shape) in renamed.items()} == ours(99)
    assert [origin for origin, _ in renamed.values()] == [name for name, _ in KEYS]
    mapping = {origin: name for name, (origin, _) in renamed.items()}
    assert {origin: mapping[origin] for origin in NAMES} == NAMES


@pytest.mark.parametrize('depth', [150, 201])
def test_every_released_name_of_the_deeper_ones_has_one_of_ours(depth):
    with torch.device('meta'):
        released = {name: tuple(tensor.shape) for name, tensor in ReleasedFishNet(depth).state_dict().items()}
    assert rename_released(released) == ours(depth)


def test_names_of_a_fish_of_two_stages():
    names = {
        'fish.fish.1.0.0.bn1.weight': 'tail.stage2.0.norm1.weight',
        'fish.fish.2.1.weight': 'bridge.conv2.weight',
        'fish.fish.2.2.0.conv1.weight': 'bridge.refine.0.conv1.weight',
        'fish.fish.3.0.0.conv1.weight': 'body.stage2.refine.0.conv1.weight',
        'fish.fish.4.1.0.conv1.weight': 'body.stage1.transfer.0.conv1.weight',
        'fish.fish.5.0.0.conv1.weight': 'head.stage1.refine.0.conv1.weight',
        'fish.fish.6.0.0.conv1.weight': 'head.stage2.refine.0.conv1.weight',
        'fish.fish.6.3.2.weight': 'cls_head.conv1.weight',
    }
    assert rename_released({name: name for name in names}) == {name: origin for origin, name in names.items()}


def test_a_name_that_no_released_model_has_is_kept():
    strange = ['fc.weight', 'conv1.2.weight', 'fish.fish.0.0.0.bn1', 'fish.fish.0.0.0.gn1.weight', 'fish.up.weight']
    renamed = rename_released({name: name for name in [*strange, 'fish.fish.9.0.0.bn1.weight']})
    assert renamed == {
        **{name: name for name in strange},
        'head.stage3.refine.0.norm1.weight': 'fish.fish.9.0.0.bn1.weight',
    }


@pytest.mark.parametrize('name', ['fish.fish.5.2.0.bn1.weight', 'fish.fish.0.1.0.bn1.weight'])
def test_the_name_of_a_slot_that_no_released_model_has_is_kept(name):
    assert name in rename_released({name: 0, 'fish.fish.9.0.0.bn1.weight': 1})


def test_what_is_released():
    names = [name for name, _ in KEYS]
    assert source_of(dict.fromkeys(names)) == 'authors'
    assert source_of(dict.fromkeys(f'module.{name}' for name in names)) == 'authors'
    assert source_of(ours(99)) is None
    assert source_of({'backbone.fish.fish.0.0.0.bn1.weight': 0, 'conv1.0.weight': 0}) is None
    assert source_of({}) is None


PYTORCHCV_KEYS = [(name, tuple(shape)) for name, shape in json.loads((DATA / 'pytorchcv_fishnet150_keys.json').read_text())]
#: Of every kind of name in pytorchcv's fish of three stages, and from every part.
PYTORCHCV_NAMES = {
    'features.init_block.conv1.conv.weight': 'stem.conv1.weight',
    'features.init_block.conv3.bn.running_var': 'stem.norm3.running_var',
    'features.hg.down1_seq.unit1.blocks.block1.body.conv1.bn.weight': 'tail.stage1.0.norm1.weight',
    'features.hg.down1_seq.unit1.blocks.block1.identity_conv.bn.bias': 'tail.stage1.0.shortcut.norm.bias',
    'features.hg.down1_seq.unit1.blocks.block1.identity_conv.conv.weight': 'tail.stage1.0.shortcut.conv.weight',
    'features.hg.down1_seq.unit3.blocks.block6.body.conv2.conv.weight': 'tail.stage3.5.conv2.weight',
    'features.hg.skip1_seq.unit4.conv1.bn.weight': 'bridge.norm1.weight',
    'features.hg.skip1_seq.unit4.conv1.conv.weight': 'bridge.conv1.weight',
    'features.hg.skip1_seq.unit4.conv2.bn.running_mean': 'bridge.norm2.running_mean',
    'features.hg.skip1_seq.unit4.conv2.conv.bias': 'bridge.conv2.bias',
    'features.hg.skip1_seq.unit4.se.bn.weight': 'bridge.attention.norm.weight',
    'features.hg.skip1_seq.unit4.se.conv2.bias': 'bridge.attention.conv2.bias',
    'features.hg.skip1_seq.unit4.blocks.block2.body.conv3.conv.weight': 'bridge.refine.1.conv3.weight',
    'features.hg.up_seq.unit1.blocks.block1.body.conv1.conv.weight': 'body.stage3.refine.0.conv1.weight',
    'features.hg.skip1_seq.unit1.blocks.block1.body.conv3.bn.weight': 'body.stage1.transfer.0.norm3.weight',
    'features.hg.skip1_seq.unit3.blocks.block1.body.conv3.bn.weight': 'body.stage3.transfer.0.norm3.weight',
    'features.hg.down2_seq.unit3.blocks.block2.body.conv3.conv.weight': 'head.stage3.refine.1.conv3.weight',
    'features.hg.skip2_seq.unit1.blocks.block4.body.conv2.bn.weight': 'head.stage3.transfer.3.norm2.weight',
    'features.hg.skip2_seq.unit3.blocks.block1.body.conv2.bn.weight': 'head.stage1.transfer.0.norm2.weight',
    'features.final_block.conv1.bn.weight': 'cls_head.norm1.weight',
    'features.final_block.conv1.conv.weight': 'cls_head.conv1.weight',
    'features.final_block.preactiv.bn.running_var': 'cls_head.norm2.running_var',
    'output.final_conv.bias': 'cls_head.conv2.bias',
}


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_every_name_of_pytorchcv_has_one_of_ours(prefix):
    renamed = rename_released({prefix + name: (name, shape) for name, shape in PYTORCHCV_KEYS})
    assert source_of(name for name, _ in PYTORCHCV_KEYS) == 'pytorchcv'
    assert len(renamed) == len(PYTORCHCV_KEYS)
    assert {name: shape for name, (_, shape) in renamed.items()} == ours(150)
    mapping = {origin: name for name, (origin, _) in renamed.items()}
    assert {origin: mapping[origin] for origin in PYTORCHCV_NAMES} == PYTORCHCV_NAMES


def in_pytorchcv(name, num_stages=3):
    """One of our names as pytorchcv writes it, by rules of this test's own."""
    part, *rest = name.split('.')
    last = rest.pop()
    if part == 'stem':
        kind, number = rest[0][:-1], rest[0][-1]
        return f'features.init_block.conv{number}.{dict(conv="conv", norm="bn")[kind]}.{last}'
    if part == 'cls_head':
        place = dict(norm1='features.final_block.conv1.bn', conv1='features.final_block.conv1.conv')
        place.update(norm2='features.final_block.preactiv.bn', conv2='output.final_conv')
        return f'{place[rest[0]]}.{last}'
    attention = f'features.hg.skip1_seq.unit{num_stages + 1}'
    if part == 'bridge' and rest[0] == 'attention':
        return f'{attention}.se.{rest[1].replace("norm", "bn")}.{last}'
    if part == 'bridge' and rest[0] != 'refine':
        return f'{attention}.conv{rest[0][-1]}.{dict(conv="conv", norm="bn")[rest[0][:-1]]}.{last}'
    if part == 'bridge':
        row = attention
    else:
        stage = int(rest.pop(0)[len('stage') :])
        turned = num_stages + 1 - stage
        kind = 'refine' if part == 'tail' else rest[0]
        row = {
            ('tail', 'refine'): f'down1_seq.unit{stage}',
            ('body', 'refine'): f'up_seq.unit{turned}',
            ('body', 'transfer'): f'skip1_seq.unit{stage}',
            ('head', 'refine'): f'down2_seq.unit{stage}',
            ('head', 'transfer'): f'skip2_seq.unit{turned}',
        }[part, kind]
        row = f'features.hg.{row}'
    rest = rest if part == 'tail' else rest[1:]
    member = rest[1:]
    if member[0] == 'shortcut':
        module = f'identity_conv.{member[1].replace("norm", "bn")}'
    else:
        module = f'body.conv{member[0][-1]}.{member[0][:-1].replace("norm", "bn")}'
    return f'{row}.blocks.block{int(rest[0]) + 1}.{module}.{last}'


@pytest.mark.parametrize('depth', [99, 150, 201])
def test_the_other_depths_in_the_names_of_pytorchcv(depth):
    theirs = {in_pytorchcv(name): name for name in ours(depth)}
    assert depth != 150 or theirs.keys() == dict(PYTORCHCV_KEYS).keys()
    assert {name: origin for name, origin in rename_released(theirs).items()} == {name: name for name in ours(depth)}


@pytest.mark.parametrize('num_stages', [2, 4])
def test_other_numbers_of_stages_in_the_names_of_pytorchcv(num_stages, small_net):
    names = small_net(num_stages).state_dict()
    renamed = rename_released({in_pytorchcv(name, num_stages): name for name in names})
    assert renamed == {name: name for name in names}


def test_a_name_that_pytorchcv_does_not_have_is_kept():
    strange = [
        'features.hg.down1_seq.unit9.blocks.block1.body.conv1.bn.weight.more',
        'features.hg.down3_seq.unit1.blocks.block1.body.conv1.bn.weight',
        'features.hg.skip1_seq.unit1.blocks.block1.body.conv4.bn.weight',
        'features.final_block.conv2.bn.weight',
    ]
    names = [*strange, 'features.hg.down1_seq.unit3.blocks.block1.body.conv1.bn.weight']
    assert list(rename_released(dict.fromkeys(names))) == [*strange, 'tail.stage3.0.norm1.weight']


def test_the_logits_of_pytorchcv():
    """Computed by pytorchcv's own definition in float64, with the same weights by rule."""
    golden = np.load(DATA / 'pytorchcv_fishnet150_golden.npz')['logits']
    weights = rename_released(fill_by_rule(PYTORCHCV_KEYS))
    net = FishNet(150, out_indices=(3,), head_output='concat').double().eval()
    cls_head = ClassificationHead(net.out_channels[-1]).double().eval()
    net.load_state_dict({name: tensor for name, tensor in weights.items() if not name.startswith('cls_head.')})
    cls_head.load_state_dict({name[9:]: tensor for name, tensor in weights.items() if name.startswith('cls_head.')})
    image = torch.from_numpy(np.random.RandomState(0).standard_normal((1, 3, 224, 224)))
    with torch.no_grad():
        logits = cls_head(net(image)[-1]).numpy()
    assert np.abs(logits - golden).max() <= 5e-8 * np.abs(golden).max()
