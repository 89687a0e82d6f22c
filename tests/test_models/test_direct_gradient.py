"""The paper's claim of section 3.1, on the graph that autograd computed: gradients arrive without isolated convolutions."""

import pytest
import torch
from mmdet.models import ResNet

from fishnet_mmdet import FishNet

TRAINABLE = dict(norm_cfg=dict(type='BN'), norm_eval=False, frozen_stages=-1)


def arrives_directly(end, begin):
    """Whether a path of the graph leads from a feature back to an earlier one without crossing a convolution.

    A convolution beside an identity or a concatenation does not block: the path goes along those.
    """
    waiting, seen = [end.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is begin.grad_fn:
            return True
        if node is None or node in seen or 'Convolution' in node.name():
            continue
        seen.add(node)
        waiting += [after for after, _ in node.next_functions]
    return False


def fish_features(**fish):
    net = FishNet(99, arch=fish, **TRAINABLE)
    return net.features(torch.rand(2, 3, 64, 64))


def inputs_of_stages(features):
    return dict(tail=features.tail[:-1], body=features.body[:-1], head=features.head[:-1])


@pytest.mark.parametrize('down', ['maxpool2', 'maxpool3', 'avgpool2'])
def test_the_last_feature_reaches_every_stage_of_the_fish(down):
    features = fish_features(down=down)
    for part, inputs in inputs_of_stages(features).items():
        assert [arrives_directly(features.head[-1], x) for x in inputs] == [True] * 3, part


def test_only_the_bridge_keeps_the_last_feature_from_f3():
    features = fish_features()
    assert not arrives_directly(features.head[-1], features.tail[-1])


def test_within_the_tail_alone_it_is_as_in_a_resnet():
    features = fish_features()
    assert not any(arrives_directly(features.tail[-1], x) for x in features.tail[:-1])


def test_strides_in_the_head_cut_the_path():
    features = fish_features(down='conv')
    for part, inputs in inputs_of_stages(features).items():
        # F4 comes to F10 through the last T, beside all strides; the rest has to pass one.
        expected = [True, False, False] if part == 'body' else [False] * 3
        assert [arrives_directly(features.head[-1], x) for x in inputs] == expected, part


def test_a_resnet_reaches_none_of_its_stages():
    net = ResNet(50)
    x = net.maxpool(net.relu(net.norm1(net.conv1(torch.rand(2, 3, 64, 64)))))
    inputs = []
    for name in net.res_layers:
        inputs.append(x)
        x = getattr(net, name)(x)
    assert [arrives_directly(x, one) for one in inputs] == [False] * 4
    # Within a stage there is an identity: only the block that changes the channels is in the way.
    layer = net.layer4
    middle = layer[0](inputs[-1])
    assert arrives_directly(layer[2](layer[1](middle)), middle)
