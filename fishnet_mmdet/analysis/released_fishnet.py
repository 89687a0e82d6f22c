"""The released FishNet once more, plainly written: the reference that tests and the benchmark compare with.

It shares nothing with :mod:`fishnet_mmdet.models`. The modules have the released names and order, and are called one after
another.
"""

from typing import Dict, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

#: Units per stage, F1 ... F10, and transfer units of F5 ... F10.
UNITS = {
    99: ([2, 2, 6, 2, 1, 1, 1, 1, 2, 2], [1, 1, 1, 1, 1, 4]),
    150: ([2, 4, 8, 4, 2, 2, 2, 2, 2, 4], [2, 2, 2, 2, 2, 4]),
    201: ([3, 4, 12, 4, 2, 2, 2, 2, 3, 10], [2, 2, 2, 2, 2, 9]),
}


class Unit(nn.Module):
    """The residual unit; with ``summed``, its shortcut sums adjacent channels (Eq. 8)."""

    def __init__(self, c_in: int, c_out: int, dilation: int = 1, summed: bool = False) -> None:
        super().__init__()
        mid = c_out // 4
        self.bn1, self.conv1 = nn.BatchNorm2d(c_in), nn.Conv2d(c_in, mid, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(mid), nn.Conv2d(mid, mid, 3, 1, dilation, dilation, bias=False)
        self.bn3, self.conv3 = nn.BatchNorm2d(mid), nn.Conv2d(mid, c_out, 1, bias=False)
        self.k = c_in // c_out if summed else 1
        if c_in != c_out and not summed:
            self.shortcut = nn.Sequential(nn.BatchNorm2d(c_in), nn.ReLU(), nn.Conv2d(c_in, c_out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) to (n, c_out, h, w)."""
        out = self.conv1(self.bn1(x).relu())
        out = self.conv2(self.bn2(out).relu())
        out = self.conv3(self.bn3(out).relu())
        if hasattr(self, 'shortcut'):
            return out + self.shortcut(x)
        return out + sum(x[:, j :: self.k] for j in range(self.k))


def row(number: int, c_in: int, c_out: int, **kwargs) -> nn.Sequential:
    """R or T: units one after another, of which the first changes the channels."""
    first = kwargs.pop('summed', False)
    return nn.Sequential(Unit(c_in, c_out, summed=first, **kwargs), *[Unit(c_out, c_out, **kwargs) for _ in range(number - 1)])


class ReleasedFishNet(nn.Module):
    """The network of the released files.

    Args:
        depth (int): 99, 150 or 201.
        num_classes (int): Classes of the classification head.
    """

    def __init__(self, depth: int, num_classes: int = 1000) -> None:
        super().__init__()
        n, t = UNITS[depth]
        self.conv1 = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.conv2 = nn.Sequential(nn.Conv2d(32, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.conv3 = nn.Sequential(nn.Conv2d(32, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        stages = [
            [row(n[0], 64, 128)],
            [row(n[1], 128, 256)],
            [row(n[2], 256, 512)],
            [
                nn.Sequential(
                    nn.BatchNorm2d(512), nn.ReLU(), nn.Conv2d(512, 256, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU()
                ),
                nn.Conv2d(256, 1024, 1),
                row(n[3], 1024, 512),
                nn.Sequential(
                    nn.Sequential(
                        nn.BatchNorm2d(1024),
                        nn.ReLU(),
                        nn.AdaptiveAvgPool2d(1),
                        nn.Conv2d(1024, 32, 1),
                        nn.ReLU(),
                        nn.Conv2d(32, 512, 1),
                        nn.Sigmoid(),
                    )
                ),
            ],
            [row(n[4], 512, 512, summed=True), row(t[0], 256, 256)],
            [row(n[5], 768, 384, dilation=2, summed=True), row(t[1], 128, 128)],
            [row(n[6], 512, 256, dilation=4, summed=True), row(t[2], 64, 64)],
            [row(n[7], 320, 320), row(t[3], 512, 512)],
            [row(n[8], 832, 832), row(t[4], 768, 768)],
            [
                row(n[9], 1600, 1600),
                row(t[5], 512, 512),
                nn.Identity(),
                nn.Sequential(
                    nn.BatchNorm2d(2112),
                    nn.ReLU(),
                    nn.Conv2d(2112, 1056, 1, bias=False),
                    nn.BatchNorm2d(1056),
                    nn.ReLU(),
                ),
                nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(1056, num_classes, 1)),
            ],
        ]
        self.fish = nn.Module()
        self.fish.fish = nn.ModuleList(nn.ModuleList(stage) for stage in stages)

    def forward(self, image: Tensor) -> Tuple[Dict[int, Tensor], Dict[int, Tensor], Tensor]:
        """(n, 3, h, w), multiples of 32, to F0 ... F10, R(F7) ... R(F9) by the same numbers, and the logits."""
        s = self.fish.fish
        f = {0: F.max_pool2d(self.conv3(self.conv2(self.conv1(image))), 3, 2, 1)}
        refined = {}
        for i in (1, 2, 3):
            f[i] = F.max_pool2d(s[i - 1][0](f[i - 1]), 2)
        squeezed = s[3][1](s[3][0](f[3]))
        attention = s[3][3](squeezed)
        f[4] = s[3][2](squeezed) * attention + attention
        for i, skip in ((5, 2), (6, 1), (7, 0)):
            f[i] = torch.cat([s[i - 1][0](f[i - 1]).repeat_interleave(2, 2).repeat_interleave(2, 3), s[i - 1][1](f[skip])], 1)
        for i, skip in ((8, 6), (9, 5), (10, 4)):
            refined[i - 1] = s[i - 1][0](f[i - 1])
            f[i] = torch.cat([F.max_pool2d(refined[i - 1], 2), s[i - 1][1](f[skip])], 1)
        return f, refined, s[9][4](s[9][3](f[10])).flatten(1)
