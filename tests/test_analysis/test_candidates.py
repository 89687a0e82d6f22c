"""The networks that are timed: each is the network that its name says."""

import pytest
import torch
import torch.nn as nn
from released import released_weights

from fishnet_mmdet.analysis.candidates import ENTRIES
from fishnet_mmdet.analysis.counts import FlopCounterMode, count_costs, count_multiply_adds
from fishnet_mmdet.analysis.networks import SETTINGS
from fishnet_mmdet.analysis.timing import Candidate, Case, Conditions
from fishnet_mmdet.models.released import rename_released


def learning(net):
    """How many parameters learn, and how many BN layers learn their statistics in training."""
    net.train()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    return sum(p.numel() for p in net.parameters() if p.requires_grad), sum(norm.training for norm in norms)


@pytest.mark.parametrize('setting', SETTINGS)
def test_reference_is_the_network(setting):
    weights = released_weights(99)
    ours = ENTRIES['fishnet99'].make(setting)
    ours.load_state_dict({key: value for key, value in rename_released(weights).items() if not key.startswith('cls_head.')})
    reference = ENTRIES['reference_fishnet99'].make(setting)
    reference.net.load_state_dict(
        {key: value for key, value in weights.items() if not key.startswith(('fish.fish.9.3', 'fish.fish.9.4'))}
    )
    assert learning(reference) == learning(ours)
    image = torch.randn(1, 3, 64, 96)
    gradients = []
    for net in (ours.eval(), reference.eval()):
        outputs = net(image)
        torch.autograd.backward(outputs, [torch.ones_like(out) for out in outputs])
        gradients.append(sorted(p.grad.double().norm().item() for p in net.parameters() if p.grad is not None))
        if net is ours:
            expected = outputs
    assert len(outputs) == len(expected) == 4
    for out, value in zip(outputs, expected):
        torch.testing.assert_close(out, value, rtol=1e-4, atol=1e-4)
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-3, abs=1e-3)


@pytest.mark.skipif(FlopCounterMode is None, reason='torch counts operations from 2.1 on')
@pytest.mark.parametrize('name', ['fishnet99', 'fishnext99', 'resnet50', 'hrnet_w32'])
def test_convolutions_are_those_of_the_network(name):
    candidate = Candidate(f'convolutions_{name}', Case('train', 64, 64, 2), Conditions())
    counted = [count_multiply_adds(conv, x)[0] for conv, x in candidate.parts]
    assert sum(counted) == 2 * count_costs(name, (64, 64))['multiply_adds']
    assert all(x.is_contiguous(memory_format=torch.channels_last) for _, x in candidate.parts)
    # Images and frozen layers get no gradient: the inputs of the stem's convolutions, and of the first after them.
    without = [x.shape[1] for _, x in candidate.parts if not x.requires_grad]
    assert without[0] == 3 and len(without) < 8
    candidate.step()
    assert all(parameter.grad is None for parameter in candidate.net.parameters())
