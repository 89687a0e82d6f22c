"""The building blocks of all parts: the residual unit, and its rows R and T."""

from functools import partial, reduce
from typing import Mapping, NamedTuple, Optional, Tuple

import torch
import torch.nn as nn
from mmcv.cnn import build_norm_layer
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..errors import FishNetError
from .fish import EXPANSION, GROUPED_EXPANSION, Stage
from .fused import MaxPool2x2, has_hooks, must_run_plain, norm_relu_conv

#: Pooling that halves the resolution. An odd size is rounded up, so that no row or column is lost.
POOLS = dict(
    maxpool2=partial(nn.MaxPool2d, 2, ceil_mode=True),
    maxpool3=partial(nn.MaxPool2d, 3, stride=2, padding=1),
    avgpool2=partial(nn.AvgPool2d, 2, ceil_mode=True, count_include_pad=False),
)
FUSED_POOLS = dict(POOLS, maxpool2=MaxPool2x2)


class Options(NamedTuple):
    """How the modules compute. All parts of a network have the same options."""

    norm_cfg: Mapping
    """The normalisation layer, as mmcv has it."""
    fused: bool = True
    """Whether the fast path may run (:mod:`fishnet_mmdet.models.fused`)."""
    with_cp: bool = False
    """Whether a row of units saves only its input for the backward pass, and is computed again there."""

    def norm(self, channels: int) -> nn.Module:
        """The normalisation layer for so many channels."""
        return build_norm(self.norm_cfg, channels)


def build_norm(norm_cfg: Mapping, channels: int) -> nn.Module:
    """The normalisation layer of a config.

    Args:
        norm_cfg (Mapping): As mmcv has it, for instance ``dict(type='BN', requires_grad=False)``.
        channels (int): Its channels.

    Raises:
        FishNetError: If mmcv cannot build it.
    """
    if not isinstance(norm_cfg, Mapping) or 'type' not in norm_cfg:
        raise FishNetError(f"norm_cfg must be a dict like dict(type='BN', requires_grad=False), not {norm_cfg!r}")
    try:
        return build_norm_layer(dict(norm_cfg), channels)[1]
    except (AssertionError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise FishNetError(
            f'norm_cfg {dict(norm_cfg)} cannot be built for {channels} channels ({error}): use a type that mmcv has, such as '
            "dict(type='BN'); for GN, num_groups must divide the channels of every layer (16 does for FishNet-99, 150, 201)"
        ) from error


class Shortcut(nn.Module):
    """Shortcut of a residual unit that changes the number of channels or the size: norm, ReLU, 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int, options: Options, stride: int = 1) -> None:
        super().__init__()
        self.fused = options.fused
        self.norm = options.norm(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) to (n, out_channels, ceil(h / stride), ceil(w / stride))."""
        return norm_relu_conv([(self.norm, self.conv)], x, self.fused)


class ChannelReduction(nn.Module):
    """Channel-wise reduction r: output channel n is the sum of the input channels k n ... k n + k - 1 (Eq. 8).

    Args:
        k (int): Channels summed into one.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, c / k, h, w)."""
        return reduce(torch.add, [x[:, j :: self.k] for j in range(self.k)])

    def extra_repr(self) -> str:
        """Shows k."""
        return f'k={self.k}'


class ResidualUnit(nn.Module):
    """Pre-activation bottleneck (section 4.1, after He et al. 2016): three times norm, ReLU, convolution, plus a shortcut.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        options (Options): Norm and fast path.
        dilation (int): Dilation, and padding, of the 3x3 convolution.
        group_width (int, optional): Channels of a group of the 3x3 convolution, which is then twice as wide (FishNeXt).
        stride (int): Stride of the 3x3 convolution. With 2 the shortcut is a convolution too.
        reduce (bool): Whether the shortcut reduces the channels by sums (Eq. 8) and not by a convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        options: Options,
        dilation: int = 1,
        group_width: Optional[int] = None,
        stride: int = 1,
        reduce: bool = False,
    ) -> None:
        super().__init__()
        width = out_channels // (GROUPED_EXPANSION if group_width else EXPANSION)
        groups = width // group_width if group_width else 1
        self.fused = options.fused
        self.norm1 = options.norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.norm2 = options.norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=dilation, dilation=dilation, groups=groups, bias=False)
        self.norm3 = options.norm(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        if in_channels == out_channels and stride == 1:
            self.shortcut = nn.Identity()
        elif reduce:
            self.shortcut = ChannelReduction(in_channels // out_channels)
        else:
            self.shortcut = Shortcut(in_channels, out_channels, options, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) to (n, out_channels, ceil(h / stride), ceil(w / stride))."""
        steps = (self.norm1, self.conv1), (self.norm2, self.conv2), (self.norm3, self.conv3)
        if isinstance(self.shortcut, nn.Identity) and not has_hooks(self.shortcut):
            return norm_relu_conv(steps, x, self.fused, add_input=True)
        message = norm_relu_conv(steps, x, self.fused)
        shortcut = self.shortcut(x)
        if not self.fused or must_run_plain(x, [self.conv3]):
            return message + shortcut
        return message.add_(shortcut)


class Row(nn.Sequential):
    """Modules one after another. With ``with_cp``, only the input of the row is saved for the backward pass.

    Checkpointing whole rows saves more memory than checkpointing each unit, for the same time: each unit runs forward twice.
    FishNet-150 with frozen BN saves 648 MiB for an image of 800x1344 pixels, and 1619 MiB without checkpoints
    (``python -m pytest -s tests/test_models/test_checkpointing.py``).
    """

    def __init__(self, *modules: nn.Module, with_cp: bool = False) -> None:
        super().__init__(*modules)
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        """Any feature to the output of the last module."""
        # A compiler decides itself what to compute again; torch.func does not support torch.utils.checkpoint.
        if self.with_cp and torch.is_grad_enabled() and not must_run_plain(x):
            return checkpoint(super().forward, x, use_reentrant=False)
        return super().forward(x)


def refine_units(stage: Stage, options: Options, reduce: bool = False) -> Row:
    """R: the residual units of a stage. The first unit changes the number of channels.

    Args:
        stage (Stage): The stage.
        options (Options): Norm, fast path and checkpointing.
        reduce (bool): Whether the channels are reduced by sums (Eq. 8).
    """
    return Row(*_refine_units(stage, options, reduce), with_cp=options.with_cp)


def refine_and_down(stage: Stage, down: str, options: Options) -> Tuple[Row, nn.Module]:
    """R of a stage, and the module that halves the resolution: pooling, or the last unit of R with a stride of 2.

    Args:
        stage (Stage): The stage.
        down (str): One of ``DOWNS``.
        options (Options): Norm, fast path and checkpointing.
    """
    if down == 'conv':
        *units, down = _refine_units(stage, options, last_stride=2)
    else:
        units, down = _refine_units(stage, options), (FUSED_POOLS if options.fused else POOLS)[down]()
    return Row(*units, with_cp=options.with_cp), down


def transfer_units(stage: Stage, options: Options) -> Row:
    """T: the residual units on the skip connection of a stage. They keep the number of channels."""
    channels, group_width = stage.skip_channels, stage.skip_group_width
    units = [ResidualUnit(channels, channels, options, group_width=group_width) for _ in range(stage.transfers)]
    return Row(*units, with_cp=options.with_cp)


def _refine_units(stage: Stage, options: Options, reduce: bool = False, last_stride: int = 1) -> list:
    return [
        ResidualUnit(
            in_channels=stage.in_channels if i == 0 else stage.out_channels,
            out_channels=stage.out_channels,
            options=options,
            dilation=stage.dilation,
            group_width=stage.group_width,
            stride=last_stride if i == stage.units - 1 else 1,
            reduce=reduce and i == 0,
        )
        for i in range(stage.units)
    ]
