"""Two packages in one process: a user's type in mmdet's registry and ours of the same name."""

import subprocess
import sys

import pytest
from mmdet import registry as mmdet_registry
from mmengine.registry import Registry

from fishnet_mmdet.registry import SCOPE

SCRIPT = """
from mmdet.registry import MODELS
from mmengine.model import BaseModule

def user():
    @MODELS.register_module()
    class MobileNet(BaseModule):
        pass
    return MobileNet

def ours():
    import fishnet_mmdet
    return fishnet_mmdet

for step in ({order}):
    step()
theirs, own = MODELS.build(dict(type='mmdet.MobileNet')), MODELS.build(dict(type='fishnet_mmdet.MobileNet'))
assert MODELS.build(dict(type='MobileNet')).__class__ is theirs.__class__
assert theirs.__class__.__module__ == '__main__', theirs.__class__
assert own.__class__.__module__ == 'fishnet_mmdet.models.classification.baselines', own.__class__

from fishnet_mmdet.registry import MODELS as OURS
assert OURS.build(dict(type='MobileNet')).__class__ is own.__class__
assert OURS.build(dict(type='mmdet.MobileNet')).__class__ is theirs.__class__
"""


@pytest.mark.parametrize('order', ['user, ours', 'ours, user'])
def test_a_users_mobilenet_and_ours(order):
    done = subprocess.run([sys.executable, '-c', SCRIPT.format(order=order)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_registry_of_mmdet_has_our_scope():
    """mmengine warns for each registry that lacks the default scope of a config."""
    registries = {
        name: one for name, one in vars(mmdet_registry).items() if isinstance(one, Registry) and one.scope == 'mmdet'
    }
    assert len(registries) > 15
    for name, registry in registries.items():
        assert registry._search_child(SCOPE) is not None, name
