"""The parts of FishNet: stem, tail, bridge, body, head. Each builds itself from the architecture and can be read alone."""

from typing import List, Sequence, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .fish import SQUEEZE, Fish, Stage
from .fused import norm_relu, norm_relu_conv
from .units import Options, Row, refine_and_down, refine_units, transfer_units


class Stem(nn.Module):
    """Three 3x3 convolutions and max-pooling: the image to F0 at stride 4 (section 4.4).

    For small images there is no pooling (stride 2), and the first convolution has no stride (stride 1).
    """

    def __init__(self, fish: Fish, in_channels: int, options: Options) -> None:
        super().__init__()
        width = fish.stem_channels // 2
        self.fused = options.fused
        self.pool = fish.stem_stride == 4
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=min(fish.stem_stride, 2), padding=1, bias=False)
        self.norm1 = options.norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = options.norm(width)
        self.conv3 = nn.Conv2d(width, fish.stem_channels, 3, padding=1, bias=False)
        self.norm3 = options.norm(fish.stem_channels)

    def forward(self, image: Tensor) -> Tensor:
        """(n, in_channels, h, w) to (n, stem_channels, ceil(h / stride), ceil(w / stride))."""
        x = norm_relu_conv([(self.norm1, self.conv2), (self.norm2, self.conv3)], self.conv1(image), self.fused)
        x = norm_relu(self.norm3, x)
        return F.max_pool2d(x, 3, stride=2, padding=1) if self.pool else x


class PlainStem(nn.Module):
    """One 7x7 convolution and max-pooling, as in a ResNet (the comparison in section 4.3)."""

    def __init__(self, fish: Fish, in_channels: int, options: Options) -> None:
        super().__init__()
        self.pool = fish.stem_stride == 4
        self.conv1 = nn.Conv2d(in_channels, fish.stem_channels, 7, stride=min(fish.stem_stride, 2), padding=3, bias=False)
        self.norm1 = options.norm(fish.stem_channels)

    def forward(self, image: Tensor) -> Tensor:
        """(n, in_channels, h, w) to (n, stem_channels, ceil(h / stride), ceil(w / stride))."""
        x = norm_relu(self.norm1, self.conv1(image))
        return F.max_pool2d(x, 3, stride=2, padding=1) if self.pool else x


class Tail(nn.ModuleDict):
    """F0 to F1 ... FN. Like a stage of a ResNet, each stage refines its input (R) and halves the resolution."""

    def __init__(self, fish: Fish, options: Options) -> None:
        super().__init__()
        for stage in fish.tail_stages():
            refine, down = refine_and_down(stage, fish.down, options)
            self[f'stage{stage.number}'] = Row(*refine, down, with_cp=options.with_cp)

    def forward(self, x: Tensor) -> List[Tensor]:
        """F0 to [F0, F1, ..., FN], each at half the resolution of the one before."""
        features = [x]
        for stage in self.values():
            features.append(stage(features[-1]))
        return features


class Attention(nn.Module):
    """Channel-wise attention of the bridge, a squeeze-and-excitation block (section 3.2)."""

    def __init__(self, in_channels: int, out_channels: int, options: Options) -> None:
        super().__init__()
        width = out_channels // SQUEEZE
        self.norm = options.norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1)
        self.conv2 = nn.Conv2d(width, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) to weights in 0 ... 1, (n, out_channels, 1, 1)."""
        x = F.adaptive_avg_pool2d(norm_relu(self.norm, x), 1)
        return torch.sigmoid(self.conv2(F.relu(self.conv1(x))))


class Bridge(nn.Module):
    """FN to F(N+1): widens the deepest feature, refines it (R) and weights its channels by attention (section 3.2)."""

    def __init__(self, fish: Fish, options: Options) -> None:
        super().__init__()
        channels, stage = fish.tail_channels[-1], fish.bridge_stage()
        self.fused = options.fused
        self.norm1 = options.norm(channels)
        self.conv1 = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.norm2 = options.norm(channels // 2)
        self.conv2 = nn.Conv2d(channels // 2, stage.in_channels, 1)
        self.refine = refine_units(stage, options)
        self.attention = Attention(stage.in_channels, stage.out_channels, options)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, bridge_channels, h, w)."""
        x = norm_relu_conv([(self.norm1, self.conv1), (self.norm2, self.conv2)], x, self.fused)
        attention = self.attention(x)
        return self.refine(x) * attention + attention


class BodyStage(nn.Module):
    """UR-block: refines, up-samples, and concatenates the tail's feature of that resolution (Eqs. 4 to 8)."""

    def __init__(self, stage: Stage, options: Options) -> None:
        super().__init__()
        self.refine = refine_units(stage, options, reduce=True)
        self.transfer = transfer_units(stage, options)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """``x`` (n, c, h, w) and ``skip`` (n, s, about 2h, 2w) to (n, c / k + s, about 2h, 2w)."""
        return torch.cat([up(self.refine(x), skip), self.transfer(skip)], dim=1)


class Body(nn.ModuleDict):
    """F(N+1) to F(N+2) ... F(2N+1). Each stage doubles the resolution."""

    def __init__(self, fish: Fish, options: Options) -> None:
        super().__init__()
        for stage in fish.body_stages():
            self[f'stage{stage.number}'] = BodyStage(stage, options)

    def forward(self, x: Tensor, tail: Sequence[Tensor]) -> List[Tensor]:
        """F(N+1) and the features of the tail, [F0, ..., FN], to [F(N+1), ..., F(2N+1)]."""
        features = [x]
        for stage, skip in zip(self.values(), reversed(tail[:-1])):
            features.append(stage(features[-1], skip))
        return features


class HeadStage(nn.Module):
    """DR-block: refines, down-samples, and concatenates the body's feature of that resolution (Eq. 9).

    Of the last stage of a shortened head, only the refined feature is used: ``down`` and ``transfer`` are None.
    """

    def __init__(self, stage: Stage, down: str, options: Options, only_refines: bool = False) -> None:
        super().__init__()
        self.refine, down = refine_and_down(stage, down, options)
        self.down = None if only_refines else down
        self.transfer = None if only_refines else transfer_units(stage, options)

    def forward(self, refined: Tensor, skip: Tensor) -> Tensor:
        """``refined`` (n, c, h, w) and ``skip`` (n, s, h / 2, w / 2) to (n, c + s, h / 2, w / 2)."""
        return torch.cat([self.down(refined), self.transfer(skip)], dim=1)


class Head(nn.ModuleDict):
    """F(2N+1) to F(2N+2) ... F(3N+1). Each stage halves the resolution.

    Args:
        fish (Fish): The architecture.
        last (int): The last feature that is needed: F(2N+1+last). Later stages are not built, since distributed training
            fails on parameters that get no gradient.
        refined (bool): Whether the stage after that is needed too, for its refined feature.
        options (Options): Norm, fast path and checkpointing.
    """

    def __init__(self, fish: Fish, last: int, refined: bool, options: Options) -> None:
        super().__init__()
        for stage in fish.head_stages()[: last + 1 if refined else last]:
            self[f'stage{stage.number}'] = HeadStage(stage, fish.down, options, only_refines=stage.number > last)

    def forward(self, body: Sequence[Tensor]) -> Tuple[List[Tensor], List[Tensor]]:
        """The features of the body, [F(N+1), ..., F(2N+1)], to [F(2N+1), ..., F(3N+1)] and their refined features."""
        features, refined = [body[-1]], []
        for stage, skip in zip(self.values(), reversed(body[:-1])):
            refined.append(stage.refine(features[-1]))
            if stage.transfer is not None:
                features.append(stage(refined[-1], skip))
        return features, refined


def up(x: Tensor, like: Tensor) -> Tensor:
    """Nearest up-sampling by 2, to the height and width of ``like``, a feature of twice the resolution."""
    return F.interpolate(x, size=(like.shape[-2], like.shape[-1]), mode='nearest')
