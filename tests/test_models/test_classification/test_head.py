"""The classifier's last layers: pooling as the released models have it, or dense, for small images."""

import pytest
import torch
import torch.nn as nn
from released import fill_by_rule

from fishnet_mmdet import ClassificationHead, FishNet
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.registry import MODELS


def filled(cls_head):
    cls_head.load_state_dict(fill_by_rule((name, tuple(tensor.shape)) for name, tensor in cls_head.state_dict().items()))
    return cls_head.double().eval()


def before_the_last_layer(cls_head, in_channels):
    """BN, ReLU, 1x1 convolution, BN, ReLU as torch has them, with the score's weights."""
    layers = nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(in_channels, in_channels // 2, 1, bias=False),
        nn.BatchNorm2d(in_channels // 2),
        nn.ReLU(),
    )
    for number, layer in ((0, cls_head.norm1), (2, cls_head.conv1), (3, cls_head.norm2)):
        layers[number].load_state_dict(layer.state_dict())
    return layers.double().eval()


@pytest.mark.parametrize('size', [(4, 4), (7, 7), (2, 5), [3, 1]])
@torch.no_grad()
def test_dense_score_is_flatten_and_linear(size):
    cls_head = filled(MODELS.build(dict(type='ClassificationHead', in_channels=12, num_classes=5, dense_size=size)))
    linear = nn.Linear(6 * size[0] * size[1], 5).double()
    linear.weight.copy_(cls_head.conv2.weight.flatten(1))
    linear.bias.copy_(cls_head.conv2.bias)
    x = torch.randn(3, 12, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    logits = cls_head(x)
    assert logits.shape == (3, 5)
    torch.testing.assert_close(logits, linear(before_the_last_layer(cls_head, 12)(x).flatten(1)), rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_pooling_score_averages():
    cls_head = filled(ClassificationHead(12, num_classes=5))
    x = torch.randn(3, 12, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pooled = before_the_last_layer(cls_head, 12)(x).mean((2, 3))
    torch.testing.assert_close(
        cls_head(x), pooled @ cls_head.conv2.weight[:, :, 0, 0].T + cls_head.conv2.bias, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize('depth, image, size', [(55, 32, 8), (55, 28, 7), (77, 32, 4), (77, 28, 4)])
def test_number_of_parameters_of_the_dense_score(depth, image, size):
    with torch.device('meta'):
        net = FishNet(depth, out_indices=(2 if depth == 55 else 3,))
        (c,) = net.out_channels
        cls_head = ClassificationHead(c, num_classes=10, dense_size=(size, size))
        assert cls_head(*net(torch.rand(2, 3, image, image))).shape == (2, 10)
    number = sum(parameter.numel() for parameter in cls_head.parameters())
    # BN, 1x1 convolution to the half, BN, dense.
    assert number == 2 * c + c * (c // 2) + 2 * (c // 2) + (c // 2 * size * size + 1) * 10


@pytest.mark.parametrize('size', [(8, 8), (4, 5), (1, 1)])
def test_dense_score_refuses_another_size(size):
    cls_head = ClassificationHead(12, num_classes=5, dense_size=(4, 4))
    with pytest.raises(FishNetError) as error:
        cls_head(torch.zeros(1, 12, *size))
    for word in ('(4, 4)', str(size), 'dense_size'):
        assert word in str(error.value)


@pytest.mark.parametrize('num_classes, dense_size', [(10, None), (1000, None), (100, (4, 4))])
def test_initial_logits_are_small(num_classes, dense_size):
    """However few the classes: the last layer's weights have the spread of the released 1000 classes'."""
    torch.manual_seed(0)
    cls_head = ClassificationHead(512, num_classes=num_classes, dense_size=dense_size)
    cls_head.init_weights()
    assert abs(cls_head.conv2.weight.std() / (2 / 1000) ** 0.5 - 1) < 0.05
    # Kaiming's rule for the other convolution, normal(0, sqrt(2 / (k k c_out))).
    assert abs(cls_head.conv1.weight.std() / (2 / 256) ** 0.5 - 1) < 0.05
    assert not cls_head.conv2.bias.any()
