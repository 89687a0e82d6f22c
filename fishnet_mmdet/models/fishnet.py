"""FishNet: tail, body and head (Figure 2 of the paper)."""

import logging
from functools import partial
from typing import Callable, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import FishNetError
from .fish import FISHES, FISHNEXTS, SQUEEZE, Fish, Stage, get_fish
from .layout import to_contiguous
from .pre_activation import norm_relu, norm_relu_conv
from .units import Norm, ResidualUnit, build_norm, refine_and_down, refine_units, transfer_units

#: How a detector is trained when there are no pretrained weights: frozen BN diverges on random ones.
FROM_SCRATCH = (
    "to train without any, do as configs/mask_rcnn_fishnet150_fpn_scratch.py: norm_cfg=dict(type='BN'), "
    "norm_eval=False, frozen_stages=-1 and init_cfg=None in the backbone, norm_cfg=dict(type='GN', num_groups=32) "
    'in the neck and the mask head'
)
HEAD_OUTPUTS = ('refined', 'concat')


class Features(NamedTuple):
    """All features of the fish, F0 ... F10 for three stages; the parts share the feature where they meet."""

    tail: List[Tensor]
    """F0 ... F3, at strides 4 ... 32."""
    body: List[Tensor]
    """F4 ... F7, at strides 32 ... 4."""
    head: List[Tensor]
    """F7 ... F10, at strides 4 ... 32."""
    refined: List[Tensor]
    """R(F7) ... R(F9), the head's refined features (Eq. 9), at strides 4 ... 16."""


def up(x: Tensor, size: Sequence[int]) -> Tensor:
    """Nearest up-sampling by 2, to the ``size`` (h, w) of the feature of the tail at that resolution."""
    return F.interpolate(x, size=tuple(size), mode='nearest')


class Stem(nn.Module):
    """Three convolutions, and max-pooling: F0 at stride 4 (section 4.4).

    For small images the pooling (stride 2), and the first convolution's stride (stride 1), are left out.
    """

    def __init__(self, out_channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        width = out_channels // 2
        self.pool = stride == 4
        self.conv1 = nn.Conv2d(3, width, 3, stride=min(stride, 2), padding=1, bias=False)
        self.norm1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = norm(width)
        self.conv3 = nn.Conv2d(width, out_channels, 3, padding=1, bias=False)
        self.norm3 = norm(out_channels)

    def forward(self, image: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, out_channels, ceil(h / stride), ceil(w / stride))."""
        x = norm_relu_conv([(self.norm1, self.conv2), (self.norm2, self.conv3)], self.conv1(image))
        x = norm_relu(self.norm3, x)
        return F.max_pool2d(x, 3, stride=2, padding=1) if self.pool else x


class PlainStem(nn.Module):
    """One 7x7 convolution and max-pooling, as a ResNet begins (the comparison in section 4.3)."""

    def __init__(self, out_channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.pool = stride == 4
        self.conv1 = nn.Conv2d(3, out_channels, 7, stride=min(stride, 2), padding=3, bias=False)
        self.norm1 = norm(out_channels)

    def forward(self, image: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, out_channels, ceil(h / stride), ceil(w / stride))."""
        x = norm_relu(self.norm1, self.conv1(image))
        return F.max_pool2d(x, 3, stride=2, padding=1) if self.pool else x


class Attention(nn.Module):
    """Channel-wise attention of the bridge, a squeeze-and-excitation block (section 3.2)."""

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        width = out_channels // SQUEEZE
        self.norm = norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1)
        self.conv2 = nn.Conv2d(width, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) to weights in 0 ... 1, (n, out_channels, 1, 1)."""
        x = F.adaptive_avg_pool2d(norm_relu(self.norm, x), 1)
        return torch.sigmoid(self.conv2(F.relu(self.conv1(x))))


class Bridge(nn.Module):
    """From tail to body: R of the widened deepest feature, weighted by channel-wise attention (section 3.2)."""

    def __init__(self, in_channels: int, stage: Stage, unit: Callable, norm: Norm) -> None:
        super().__init__()
        self.norm1 = norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, in_channels // 2, 1, bias=False)
        self.norm2 = norm(in_channels // 2)
        self.conv2 = nn.Conv2d(in_channels // 2, stage.in_channels, 1)
        self.refine = refine_units(stage, unit)
        self.attention = Attention(stage.in_channels, stage.out_channels, norm)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) to (n, out_channels, h, w)."""
        x = norm_relu_conv([(self.norm1, self.conv1), (self.norm2, self.conv2)], x)
        attention = self.attention(x)
        return self.refine(x) * attention + attention


class BodyStage(nn.Module):
    """UR-block: refine, up-sample, concatenate what the tail has at that resolution (Eqs. 4 to 8)."""

    def __init__(self, refine: nn.Sequential, transfer: nn.Sequential) -> None:
        super().__init__()
        self.refine = refine
        self.transfer = transfer

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Refines ``x`` (n, c, h, w) and puts ``skip`` (n, s, about 2h, 2w) beside it: (n, c / k + s, 2h, 2w)."""
        return torch.cat([up(self.refine(x), skip.shape[-2:]), self.transfer(skip)], dim=1)


class HeadStage(nn.Module):
    """DR-block: refine, down-sample, concatenate what the body has at that resolution (Eq. 9).

    Of the last stage of a shortened head only the refined feature is used: ``down`` and ``transfer`` are None there.
    """

    def __init__(self, refine: nn.Sequential, down: Optional[nn.Module], transfer: Optional[nn.Sequential]) -> None:
        super().__init__()
        self.refine = refine
        self.down = down
        self.transfer = transfer

    def forward(self, refined: Tensor, skip: Tensor) -> Tensor:
        """Puts ``skip`` (n, s, h / 2, w / 2) beside the ``refined`` (n, c, h, w): (n, c + s, h / 2, w / 2)."""
        return torch.cat([self.down(refined), self.transfer(skip)], dim=1)


@MODELS.register_module()
class FishNet(BaseModule):
    """FishNet backbone (`NeurIPS 2018 <https://arxiv.org/abs/1901.03495>`_), equal to the released models.

    A tail like a ResNet, a body that brings its deepest feature back to high resolution, and a head that goes down again
    keep and refine the features of every resolution. A detector's neck takes the head's features.

    Args:
        depth (int | Mapping | Fish): 99, 150 or 201, as released; 55 or 77, for small images; or a custom fish: the arguments
            of :class:`Fish` as a dict, or what changes of a variant: ``dict(depth=150, down='conv')``.
        out_indices (Sequence[int]): Levels to put out, ascending; level i has stride 4 * 2**i (55 and 77: 2**i). For the
            released depths 0 to 3, with 320, 832, 1600 and 2112 channels. What lies behind the last one is not built.
        head_output (str): 'refined' puts out the head's refined features R(F7), R(F8), R(F9), and F10 (Eq. 9, where the
            paper attaches FPN); 'concat' their inputs F7, F8, F9, and F10. Channels and sizes are the same.
        frozen_stages (int): What never changes in training: -1 nothing, 0 the stem (section 4.4), 1 to 3 that many stages of
            the tail too.
        norm_cfg (Mapping): Normalisation layer. The default with ``norm_eval`` is the paper's fixed BN for detection (section
            4.4), which needs pretrained weights: on random ones the activations grow until the loss is NaN. For training
            from scratch: ``norm_cfg=dict(type='BN'), norm_eval=False, frozen_stages=-1`` (also 'SyncBN', 'GN'), and a
            normalised neck, since the features come without a last normalisation.
        norm_eval (bool): Whether BN keeps its running statistics in training.
        with_cp (bool): Whether to keep only the inputs of the residual units for the backward pass, and compute the rest
            again: less memory, more time. BN that learns its statistics then updates them twice a step.
        init_cfg (dict | list[dict], optional): Initialisation; for released models and our own checkpoints
            ``dict(type='FishNetPretrained', checkpoint=FILE_OR_URL)``; mmengine's
            ``Pretrained`` is taken as that. The default is the released models' random one.

    Attributes:
        fish (Fish): The variant.
        out_channels (tuple[int]): Channels of the outputs: a neck's ``in_channels``.
        out_strides (tuple[int]): Strides of the outputs.

    Raises:
        FishNetError: If an argument has a value that is not allowed.

    Example:
        >>> import torch
        >>> from fishnet_mmdet import FishNet
        >>> net = FishNet(depth=150).eval()
        >>> net.out_channels
        (320, 832, 1600, 2112)
        >>> net.out_strides
        (4, 8, 16, 32)
        >>> with torch.no_grad():
        ...     for level in net(torch.rand(1, 3, 64, 96)):
        ...         print(tuple(level.shape))
        (1, 320, 16, 24)
        (1, 832, 8, 12)
        (1, 1600, 4, 6)
        (1, 2112, 2, 3)
    """

    variants = FISHES

    def __init__(
        self,
        depth: Union[int, Mapping, Fish] = 150,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        head_output: str = 'refined',
        frozen_stages: int = 0,
        norm_cfg: Mapping = dict(type='BN', requires_grad=False),
        norm_eval: bool = True,
        with_cp: bool = False,
        init_cfg: Union[dict, List[dict], None] = None,
    ) -> None:
        if init_cfg is None:
            init_cfg = [
                dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu'),
                dict(type='Constant', layer=['_BatchNorm', 'GroupNorm'], val=1, bias=0),
            ]
        super().__init__(_strict(init_cfg))
        self.fish = fish = get_fish(depth, self.variants)
        self.out_indices = _check_out_indices(out_indices, fish)
        if head_output not in HEAD_OUTPUTS:
            raise FishNetError(f'head_output must be one of {", ".join(map(repr, HEAD_OUTPUTS))}, not {head_output!r}')
        self.head_output = head_output
        if type(frozen_stages) is not int or frozen_stages not in range(-1, fish.num_stages + 1):
            raise FishNetError(
                'frozen_stages must be -1 (nothing), 0 (the stem) or 1 to '
                f'{fish.num_stages} (stages of the tail too), not {frozen_stages!r}'
            )
        self.frozen_stages = frozen_stages
        self.norm_cfg = norm_cfg
        self.norm_eval = norm_eval

        norm = partial(build_norm, norm_cfg)
        unit = partial(ResidualUnit, norm=norm, with_cp=with_cp)
        # Parameters that no output depends on would stop distributed training: the head ends where the last output is.
        last = self.out_indices[-1]
        num_refined = last + 1 if head_output == 'refined' else last

        self.stem = (Stem if fish.deep_stem else PlainStem)(fish.stem_channels, fish.stem_stride, norm)
        self.tail = nn.ModuleDict()
        for s in fish.tail_stages():
            refine, down = refine_and_down(s, unit, fish.down)
            self.tail[f'stage{s.number}'] = nn.Sequential(*refine, down)
        self.bridge = Bridge(fish.tail_channels[-1], fish.bridge_stage(), unit, norm)
        self.body = nn.ModuleDict(
            {
                f'stage{s.number}': BodyStage(refine_units(s, unit, reduce=True), transfer_units(s, unit))
                for s in fish.body_stages()
            }
        )
        self.head = nn.ModuleDict()
        for s in fish.head_stages():
            refine, down = refine_and_down(s, unit, fish.down)
            if s.number <= last:
                self.head[f'stage{s.number}'] = HeadStage(refine, down, transfer_units(s, unit))
            elif s.number <= num_refined:
                self.head[f'stage{s.number}'] = HeadStage(refine, None, None)
        self.train()

    @property
    def out_channels(self) -> Tuple[int, ...]:
        """tuple[int]: Channels of the outputs."""
        return tuple(self.fish.head_features[i] for i in self.out_indices)

    @property
    def out_strides(self) -> Tuple[int, ...]:
        """tuple[int]: Strides of the outputs."""
        return tuple(self.fish.strides[i] for i in self.out_indices)

    def features(self, image: Tensor) -> Features:
        """All features of the fish.

        Args:
            image (Tensor): (n, 3, h, w), h and w at least 32, normalised.

        Returns:
            Features: The features of each part; those of a shortened head end with its last stage.
        """
        # oneDNN and cuDNN compute fastest in this layout, and convolutions keep to that of their input.
        tail = [self.stem(image.contiguous(memory_format=torch.channels_last))]
        for stage in self.tail.values():
            tail.append(stage(tail[-1]))

        body = [self.bridge(tail[-1])]
        for stage, skip in zip(self.body.values(), reversed(tail[:-1])):
            body.append(stage(body[-1], skip))

        head, refined = [body[-1]], []
        for stage, skip in zip(self.head.values(), reversed(body[:-1])):
            refined.append(stage.refine(head[-1]))
            if stage.transfer is not None:
                head.append(stage(refined[-1], skip))
        return Features(tail, body, head, refined)

    def forward(self, image: Tensor) -> Tuple[Tensor, ...]:
        """The head's features.

        Args:
            image (Tensor): (n, 3, h, w), h and w at least 32, normalised.

        Returns:
            tuple[Tensor]: A feature for each of ``out_indices``: level i is (n, channels, ceil(h / s), ceil(w / s)) with the
            stride s = 4 * 2**i (that of the fish), whether or not h and w are multiples of s, as with mmdet's ResNet.
        """
        features = self.features(image)
        levels = features.head
        if self.head_output == 'refined':
            levels = features.refined + features.head[len(features.refined) :]
        # mmcv's operators, RoIAlign and the deformable convolutions among them, read what a neck makes of channels-last
        # features as if it were contiguous, and say nothing.
        return tuple(to_contiguous(levels[i]) for i in self.out_indices)

    def train(self, mode: bool = True) -> 'FishNet':
        """Sets training mode; what is frozen, and BN with ``norm_eval``, stays in evaluation mode."""
        super().train(mode)
        self._freeze()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def init_weights(self) -> None:
        """Initialises the weights as ``init_cfg`` says, and warns of fixed BN that got no pretrained statistics."""
        super().init_weights()
        if self.has_untrained_fixed_norm():
            print_log(
                'FishNet has fixed BN (norm_eval=True, requires_grad=False) on random weights: unless a checkpoint is loaded '
                'next, training will diverge to NaN within a few steps. Give it pretrained weights, '
                f"init_cfg=dict(type='FishNetPretrained', checkpoint=FILE), or {FROM_SCRATCH}.",
                logger='current',
                level=logging.WARNING,
            )

    def has_untrained_fixed_norm(self) -> bool:
        """Whether BN is fixed at the identity: its statistics are those of a network that was never trained."""
        norms = [module for module in self.modules() if isinstance(module, _BatchNorm)]
        return (
            bool(norms)
            and self.norm_eval
            and not any(parameter.requires_grad for norm in norms for parameter in norm.parameters())
            and all(
                norm.track_running_stats and bool((norm.running_mean == 0).all()) and bool((norm.running_var == 1).all())
                for norm in norms
            )
        )

    def _freeze(self) -> None:
        frozen = [self.stem, *self.tail.values()][: self.frozen_stages + 1]
        for part in frozen:
            part.eval()
            part.requires_grad_(False)


@MODELS.register_module()
class FishNeXt(FishNet):
    """FishNet with grouped 3x3 convolutions in bottlenecks twice as wide (section 4.2 and Table 1; never released).

    All units of one resolution have the same group width: 4 at stride 4, doubled with each stage. The arguments are those of
    :class:`FishNet`; depth is 99, 150 or 201, or a custom fish, with its own ``group_width``.
    """

    variants = FISHNEXTS


def _strict(init_cfg: Union[dict, List[dict]]) -> Union[dict, List[dict]]:
    """Lets FishNet's own loader do what mmengine's ``Pretrained`` would: that one passes over names that do not fit."""
    if isinstance(init_cfg, list):
        return [_strict(one) for one in init_cfg]
    if init_cfg.get('type') == 'Pretrained':
        return dict(type='FishNetPretrained', checkpoint=init_cfg['checkpoint'], prefix=init_cfg.get('prefix'))
    return init_cfg


def _check_out_indices(out_indices: Sequence[int], fish: Fish) -> Tuple[int, ...]:
    allowed = range(fish.num_stages + 1)
    indices = out_indices if isinstance(out_indices, Sequence) else ()
    if not indices or any(type(i) is not int or i not in allowed for i in indices) or list(indices) != sorted(set(indices)):
        raise FishNetError(
            f'out_indices must be some of {", ".join(map(str, allowed))} in ascending order, not {out_indices!r}'
        )
    return tuple(indices)
