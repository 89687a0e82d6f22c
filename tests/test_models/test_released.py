"""The released names in ours."""

import json
from pathlib import Path

import pytest
import torch

from fishnet_mmdet import FishNet
from fishnet_mmdet.analysis.released_fishnet import ReleasedFishNet
from fishnet_mmdet.models import ClassificationHead
from fishnet_mmdet.models.released import is_released, rename_released

KEYS = [
    (name, tuple(shape))
    for name, shape in json.loads((Path(__file__).parents[1] / 'data' / 'fishnet99_released_keys.json').read_text())
]
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
    assert is_released(dict.fromkeys(names))
    assert is_released(dict.fromkeys(f'module.{name}' for name in names))
    assert not is_released(ours(99))
    assert not is_released({'backbone.fish.fish.0.0.0.bn1.weight': 0, 'conv1.0.weight': 0})
    assert not is_released({})
