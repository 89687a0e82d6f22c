"""The networks that the report compares small FishNets with: their parameters, and what they compute."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from fishnet_mmdet.models import CNN, MLP, LinearHead, MobileNet
from fishnet_mmdet.registry import MODELS


def classifier(name, num_classes=10):
    cls_head = dict(type='LinearHead', num_classes=num_classes)
    return MODELS.build(dict(type='Classifier', backbone=dict(type=name), cls_head=cls_head))


def num_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize('name, number', [('MLP', 2411274), ('CNN', 3675534)])
def test_numbers_of_parameters_of_the_report(name, number):
    assert num_parameters(classifier(name)) == number


def test_number_of_parameters_of_mobilenet():
    """The report's counts BN's running mean and variance, and 1000 classes."""
    model = classifier('MobileNet', num_classes=1000)
    statistics = sum(buffer.numel() for name, buffer in model.named_buffers() if 'running' in name)
    assert num_parameters(model) + statistics == 4253864
    # Howard et al. 2017, Table 8: 4.2 million.
    assert round(num_parameters(model) / 1e6, 1) == 4.2


@pytest.mark.parametrize('size', [28, 32, 56])
@torch.no_grad()
def test_mlp_is_two_linear_layers(size):
    image = torch.randn(3, 3, size, size)
    net, cls_head = MLP(), LinearHead(256, 10)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(3 * 56 * 56, 256), nn.ReLU(), nn.Linear(256, 10))
    plain[1].load_state_dict(net.hidden.state_dict())
    plain[3].load_state_dict(cls_head.linear.state_dict())
    resized = F.interpolate(image, (56, 56), mode='bilinear')
    torch.testing.assert_close(cls_head(net(image)[-1]), plain(resized))


@torch.no_grad()
def test_cnn_is_convolution_pooling_and_two_linear_layers():
    image = torch.randn(2, 3, 56, 56)
    net, cls_head = CNN(), LinearHead(520, 10)
    plain = nn.Sequential(
        nn.Conv2d(3, 9, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(9 * 28**2, 520), nn.ReLU()
    )
    plain[0].load_state_dict(net.conv.state_dict())
    plain[4].load_state_dict(net.hidden.state_dict())
    torch.testing.assert_close(cls_head(net(image)[-1]), F.linear(plain(image), cls_head.linear.weight, cls_head.linear.bias))


#: Howard et al. 2017, Table 1, at 56 pixels instead of 224: kernel, stride, channels in and out, groups, size in.
TABLE = [
    (3, 2, 3, 32, 1, 56),
    *((3, 1, 32, 32, 32, 28), (1, 1, 32, 64, 1, 28)),
    *((3, 2, 64, 64, 64, 28), (1, 1, 64, 128, 1, 14)),
    *((3, 1, 128, 128, 128, 14), (1, 1, 128, 128, 1, 14)),
    *((3, 2, 128, 128, 128, 14), (1, 1, 128, 256, 1, 7)),
    *((3, 1, 256, 256, 256, 7), (1, 1, 256, 256, 1, 7)),
    *((3, 2, 256, 256, 256, 7), (1, 1, 256, 512, 1, 4)),
    *[(3, 1, 512, 512, 512, 4), (1, 1, 512, 512, 1, 4)] * 5,
    *((3, 2, 512, 512, 512, 4), (1, 1, 512, 1024, 1, 2)),
    *((3, 1, 1024, 1024, 1024, 2), (1, 1, 1024, 1024, 1, 2)),
]


@torch.no_grad()
def test_mobilenet_has_the_layers_of_its_table():
    net, seen = MobileNet().eval(), []

    def look(conv, args, _):
        kernel_size, stride = conv.kernel_size[0], conv.stride[0]
        seen.append((kernel_size, stride, conv.in_channels, conv.out_channels, conv.groups, args[0].shape[-1]))

    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            assert module.bias is None
            module.register_forward_hook(look)
    assert [tuple(x.shape) for x in net(torch.rand(2, 3, 32, 32))] == [(2, *net.out_channels, 2, 2)]
    assert seen == TABLE
    assert sum(isinstance(module, nn.BatchNorm2d) for module in net.modules()) == len(TABLE)


def test_linear_score_pools():
    cls_head = LinearHead(4, 3)
    x = torch.randn(2, 4, 5, 6)
    torch.testing.assert_close(cls_head(x), F.linear(x.mean((2, 3)), cls_head.linear.weight, cls_head.linear.bias))
