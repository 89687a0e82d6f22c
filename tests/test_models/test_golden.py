"""FishNet against the released models: golden outputs for 99, a plain implementation for all depths."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from equal_lengths import zip_equal
from released import fill_by_rule, released_weights, save_released

from fishnet_mmdet import FishNet
from fishnet_mmdet.analysis.released_fishnet import ReleasedFishNet
from fishnet_mmdet.models import ClassificationHead
from fishnet_mmdet.models.released import rename_released

DATA = Path(__file__).parents[1] / 'data'
TOLERANCE = 1e-6


def assert_near(ours, theirs):
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max()


def load(file, depth):
    """A detector's backbone and the cls_head, from a released file, in float64."""
    net = FishNet(depth=depth, init_cfg=dict(type='FishNetPretrained', checkpoint=str(file)))
    net.init_weights()
    cls_head = ClassificationHead(net.out_channels[-1])
    weights = rename_released(torch.load(file, weights_only=True)['state_dict'])
    cls_head.load_state_dict(
        {name[len('cls_head.') :]: tensor for name, tensor in weights.items() if name.startswith('cls_head.')}
    )
    return net.double().eval(), cls_head.double().eval()


@torch.no_grad()
def test_golden_outputs_of_the_released_99(tmp_path):
    golden = np.load(DATA / 'fishnet99_golden.npz')
    save_released(fill_by_rule(json.loads((DATA / 'fishnet99_released_keys.json').read_text())), tmp_path / 'released.tar')
    net, cls_head = load(tmp_path / 'released.tar', 99)

    image = torch.from_numpy(np.random.RandomState(0).standard_normal((2, 3, 64, 96)))
    features = net.features(image)
    named = {f'feat{i}': x for i, x in enumerate(features.tail + features.body + features.head[1:])}
    named.update({f'refined{7 + i}': x for i, x in enumerate(features.refined)})
    assert len(named) == 11 + 3
    for name, x in named.items():
        assert tuple(x.shape) == tuple(golden[f'{name}_shape']), name
        assert_near(x[:, :: max(1, x.shape[1] // 16)].numpy(), golden[name])
    assert_near(cls_head(features.head[-1]).numpy(), golden['logits'])


@pytest.mark.parametrize('depth', [99, 150, 201])
@torch.no_grad()
def test_equal_to_a_plain_implementation(depth, tmp_path):
    weights = released_weights(depth)
    plain = ReleasedFishNet(depth)
    plain.load_state_dict(weights)
    save_released(weights, tmp_path / 'released.tar', legacy=False)
    net, cls_head = load(tmp_path / 'released.tar', depth)

    image = torch.from_numpy(np.random.RandomState(1).standard_normal((2, 3, 64, 32)))
    f, refined, logits = plain.double().eval()(image)
    features = net.features(image)
    for ours, theirs in zip_equal(features.tail + features.body + features.head[1:], f.values()):
        assert_near(ours.numpy(), theirs.numpy())
    assert_near(cls_head(features.head[-1]).numpy(), logits.numpy())
    for ours, theirs in zip_equal(net(image), [*refined.values(), f[10]]):
        assert_near(ours.numpy(), theirs.numpy())
    net.head_output = 'concat'
    for ours, i in zip_equal(net(image), (7, 8, 9, 10)):
        assert_near(ours.numpy(), f[i].numpy())


def test_the_plain_implementation_has_the_released_names():
    released = [(name, tuple(shape)) for name, shape in json.loads((DATA / 'fishnet99_released_keys.json').read_text())]
    plain = [(name, tuple(tensor.shape)) for name, tensor in ReleasedFishNet(99).state_dict().items()]
    assert sorted(plain) == sorted(released)
