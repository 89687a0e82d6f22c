"""What the report compares small FishNets with (its Table 4): MLP, CNN and MobileNet, as backbones of the classifier."""

from typing import Tuple

import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from ...registry import MODELS

#: Side in pixels to which the baselines resize images. The report does not tell it; with 56 its parameters come out.
SIDE = 56
KAIMING = dict(type='Kaiming', layer=['Conv2d', 'Linear'], mode='fan_out', nonlinearity='relu')


@MODELS.register_module()
class MLP(BaseModule):
    """One hidden layer of 256 nodes; for 10 classes the classifier has the report's 2,411,274 parameters."""

    out_channels = (256,)

    def __init__(self) -> None:
        super().__init__(KAIMING)
        self.hidden = nn.Linear(3 * SIDE**2, 256)

    def forward(self, image: Tensor) -> Tuple[Tensor]:
        """(n, 3, h, w) to ((n, 256, 1, 1),)."""
        return (F.relu(self.hidden(_resize(image).flatten(1)))[:, :, None, None],)


@MODELS.register_module()
class CNN(BaseModule):
    """A 5x5 convolution, max-pooling, and a linear layer of 520 nodes.

    The report does not tell the channels of the convolution: with 9 the classifier has, for 10 classes, the report's
    3,675,534 parameters.
    """

    out_channels = (520,)

    def __init__(self) -> None:
        super().__init__(KAIMING)
        self.conv = nn.Conv2d(3, 9, 5, padding=2)
        self.hidden = nn.Linear(9 * (SIDE // 2) ** 2, 520)

    def forward(self, image: Tensor) -> Tuple[Tensor]:
        """(n, 3, h, w) to ((n, 520, 1, 1),)."""
        x = F.max_pool2d(F.relu(self.conv(_resize(image))), 2)
        return (F.relu(self.hidden(x.flatten(1)))[:, :, None, None],)


@MODELS.register_module()
class MobileNet(BaseModule):
    """MobileNet 1.0 (Howard et al. 2017, arXiv:1704.04861, Table 1): pairs of depthwise and pointwise convolutions.

    The report's 4,253,864 parameters are those of 1000 classes, the running statistics of BN counted with them.
    """

    out_channels = (1024,)
    #: Output channels and stride of the pairs.
    pairs = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))

    def __init__(self) -> None:
        super().__init__(KAIMING)
        layers = [_conv(3, 32, 3, stride=2)]
        in_channels = 32
        for out_channels, stride in self.pairs:
            layers += [_conv(in_channels, in_channels, 3, stride, groups=in_channels), _conv(in_channels, out_channels, 1)]
            in_channels = out_channels
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tuple[Tensor]:
        """(n, 3, h, w) to ((n, 1024, 2, 2),)."""
        return (self.layers(_resize(image)),)


@MODELS.register_module()
class LinearHead(BaseModule):
    """Global average pooling and a linear layer.

    Args:
        in_channels (int): Channels of the feature.
        num_classes (int): Number of classes.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(dict(type='Normal', layer='Linear', std=0.01))
        self.linear = nn.Linear(in_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) to (n, num_classes)."""
        return self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))


def _resize(image: Tensor) -> Tensor:
    return F.interpolate(image, size=(SIDE, SIDE), mode='bilinear', align_corners=False)


def _conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))
