"""The difference of two configs, merged again by mmengine."""

import copy
import random

import pytest
from mmengine.config import Config

from fishnet_mmdet.fishify.inheritance import overrides


def random_tree(rng, depth=3):
    if depth == 0 or rng.random() < 0.3:
        return rng.choice([None, 1, 'x', (1, 2), [dict(a=1), 2], []])
    keys = rng.sample(['a', 'b', 'c', 'd', 'type'], rng.randint(0, 4))
    return {key: rng.choice(['X', 'Y']) if key == 'type' else random_tree(rng, depth - 1) for key in keys}


@pytest.mark.parametrize('seed', range(50))
def test_mmengine_merges_it_to_the_new_config(seed):
    rng = random.Random(seed)
    old = dict(a=random_tree(rng), b=random_tree(rng), c=random_tree(rng))
    new = copy.deepcopy(old)
    new.update(a=random_tree(rng), d=random_tree(rng))
    if isinstance(new['b'], dict):
        new['b'].update(a=random_tree(rng), d=random_tree(rng))
    cfg = Config(copy.deepcopy(old))
    cfg.merge_from_dict(overrides(old, new))
    assert cfg.to_dict() == new


def test_it_says_no_more_than_what_differs():
    old = dict(a=dict(b=1, c=dict(d=2, e=[1, 2])), f=3)
    assert overrides(old, dict(a=dict(b=1, c=dict(d=2, e=[1, 3], g=4)), f=3)) == dict(a=dict(c=dict(e=[1, 3], g=4)))
    assert overrides(old, old) == {}


@pytest.mark.parametrize('old', [dict(type='ResNet'), dict(type='FishNet', dcn=1), [dict(type='FishNet')], None])
def test_nothing_is_inherited_by_a_module_of_another_type_or_with_fewer_arguments(old):
    new = dict(type='FishNet', depth=99)
    assert overrides(dict(backbone=old), dict(backbone=new)) == dict(backbone=dict(_delete_=True, type='FishNet', depth=99))
