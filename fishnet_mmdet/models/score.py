"""The classifier's last layers."""

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .units import Norm


class Score(nn.Module):
    """Score of the released models: from F10 to the logits of the classes.

    Args:
        in_channels (int): Channels of the last feature, 2112 for the released depths.
        num_classes (int): Number of classes.
        norm (Callable): Makes the normalisation layer for a number of channels.
    """

    def __init__(self, in_channels: int, num_classes: int = 1000, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm1 = norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, in_channels // 2, 1, bias=False)
        self.norm2 = norm(in_channels // 2)
        self.conv2 = nn.Conv2d(in_channels // 2, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) to (n, num_classes)."""
        x = self.conv1(F.relu(self.norm1(x)))
        x = F.adaptive_avg_pool2d(F.relu(self.norm2(x)), 1)
        return self.conv2(x).flatten(1)
