"""The building blocks of the fish: the residual unit and what is made of it."""

from functools import partial, reduce
from typing import Callable, Mapping, Optional, Tuple

import torch
import torch.nn as nn
from mmcv.cnn import build_norm_layer
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..errors import FishNetError
from .fish import EXPANSION, GROUPED_EXPANSION, Stage
from .max_pool import MaxPool2x2
from .pre_activation import is_watched, norm_relu_conv

#: Makes the normalisation layer for so many channels.
Norm = Callable[[int], nn.Module]

#: Halving of the resolution by pooling; an odd size is rounded up, so that no row or column is lost.
POOLS = dict(
    maxpool2=MaxPool2x2,
    maxpool3=partial(nn.MaxPool2d, 3, stride=2, padding=1),
    avgpool2=partial(nn.AvgPool2d, 2, ceil_mode=True, count_include_pad=False),
)


def build_norm(norm_cfg: Mapping, channels: int) -> nn.Module:
    """The normalisation layer of a config.

    Args:
        norm_cfg (Mapping): As mmcv has it, ``dict(type='BN', requires_grad=False)`` say.
        channels (int): Its channels.

    Raises:
        FishNetError: If mmcv cannot make it.
    """
    if not isinstance(norm_cfg, Mapping) or 'type' not in norm_cfg:
        raise FishNetError(f"norm_cfg must be a dict like dict(type='BN', requires_grad=False), not {norm_cfg!r}")
    try:
        return build_norm_layer(dict(norm_cfg), channels)[1]
    except (AssertionError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise FishNetError(
            f"norm_cfg {norm_cfg} makes no normalisation layer of {channels} channels ({error}): it must be one of mmcv's, "
            "dict(type='BN'), 'SyncBN' or dict(type='GN', num_groups=16), whose groups divide all channels of the fish"
        ) from error


class Shortcut(nn.Module):
    """Shortcut of a residual unit that changes the number of channels, or the size: norm, ReLU, 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int, norm: Norm, stride: int = 1) -> None:
        super().__init__()
        self.norm = norm(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) to (n, out_channels, ceil(h / stride), ceil(w / stride))."""
        return norm_relu_conv([(self.norm, self.conv)], x)


class ChannelReduction(nn.Module):
    """Channel-wise reduction r: output channel n is the sum of k adjacent input channels from k n on (Eq. 8).

    Args:
        k (int): Channels summed into one.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, c / k, h, w)."""
        return reduce(torch.add, x.unflatten(1, (-1, self.k)).unbind(2))

    def extra_repr(self) -> str:
        """Shows k."""
        return f'k={self.k}'


class ResidualUnit(nn.Module):
    """Pre-activation bottleneck (section 4.1, after He et al. 2016): three times norm, ReLU, convolution, plus a shortcut.

    Args:
        in_channels (int): Channels in.
        out_channels (int): Channels out.
        norm (Callable): Makes the normalisation layer for a number of channels.
        dilation (int): Dilation, and padding, of the 3x3 convolution.
        group_width (int, optional): Channels of a group of the 3x3 convolution, which is then twice as wide (FishNeXt).
        stride (int): Stride of the 3x3 convolution; with 2 the shortcut is a convolution too.
        reduce (bool): Whether the shortcut reduces the channels by summing them (Eq. 8) instead of by a convolution.
        with_cp (bool): Whether to keep only the unit's input for the backward pass and compute the rest again.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm: Norm,
        dilation: int = 1,
        group_width: Optional[int] = None,
        stride: int = 1,
        reduce: bool = False,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        width = out_channels // (GROUPED_EXPANSION if group_width else EXPANSION)
        groups = width // group_width if group_width else 1
        self.norm1 = norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.norm2 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=dilation, dilation=dilation, groups=groups, bias=False)
        self.norm3 = norm(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        if in_channels == out_channels and stride == 1:
            self.shortcut = nn.Identity()
        elif reduce:
            self.shortcut = ChannelReduction(in_channels // out_channels)
        else:
            self.shortcut = Shortcut(in_channels, out_channels, norm, stride)
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) to (n, out_channels, ceil(h / stride), ceil(w / stride))."""
        if self.with_cp and x.requires_grad:
            return checkpoint(self._forward, x, use_reentrant=False)
        return self._forward(x)

    def _forward(self, x: Tensor) -> Tensor:
        steps = (self.norm1, self.conv1), (self.norm2, self.conv2), (self.norm3, self.conv3)
        if isinstance(self.shortcut, nn.Identity) and not is_watched(self.shortcut):
            return norm_relu_conv(steps, x, add_input=True)
        message = norm_relu_conv(steps, x)
        shortcut = self.shortcut(x)
        return message + shortcut if is_watched(self.conv3) else message.add_(shortcut)


def refine_units(stage: Stage, unit: Callable[..., ResidualUnit], reduce: bool = False, stride: int = 1) -> nn.Sequential:
    """R: the residual units of a stage in a row, of which the first changes the number of channels.

    Args:
        stage (Stage): The stage.
        unit (Callable): Makes a :class:`ResidualUnit` from its channels.
        reduce (bool): Whether channels are reduced by summing them (Eq. 8).
        stride (int): Stride of the last unit.
    """
    unit = partial(unit, dilation=stage.dilation, group_width=stage.group_width)
    first, last = 0, stage.units - 1
    return nn.Sequential(
        *(
            unit(
                stage.in_channels if i == first else stage.out_channels,
                stage.out_channels,
                stride=stride if i == last else 1,
                reduce=reduce and i == first,
            )
            for i in range(stage.units)
        )
    )


def refine_and_down(stage: Stage, unit: Callable[..., ResidualUnit], down: str) -> Tuple[nn.Sequential, nn.Module]:
    """R of a stage that goes down, and what halves the resolution after it: pooling, or R's last unit by its stride.

    Args:
        stage (Stage): The stage.
        unit (Callable): Makes a :class:`ResidualUnit` from its channels.
        down (str): One of ``DOWNS``.
    """
    if down in POOLS:
        return refine_units(stage, unit), POOLS[down]()
    units = refine_units(stage, unit, stride=2)
    return units[:-1], units[-1]


def transfer_units(stage: Stage, unit: Callable[..., ResidualUnit]) -> nn.Sequential:
    """T: the residual units that carry the feature of another part across to a stage, its channels kept."""
    unit = partial(unit, group_width=stage.skip_group_width)
    return nn.Sequential(*(unit(stage.skip_channels, stage.skip_channels) for _ in range(stage.transfers)))
