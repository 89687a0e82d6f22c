"""FishNet: stem, tail, bridge, body and head (Figure 2 of the paper)."""

import logging
from typing import List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import torch.nn as nn
from mmdet.registry import MODELS
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import FishNetError
from .checks import check_arguments, check_image
from .fish import Fish
from .fused import as_returned, to_channels_last
from .parts import Body, Bridge, Head, PlainStem, Stem, Tail
from .units import Options
from .variants import FISHES, FISHNEXTS, get_fish

#: How to train a detector without pretrained weights.
FROM_SCRATCH = (
    'to train without pretrained weights, add --from-scratch to the train command, or copy the settings of '
    'configs/scratch/mask_rcnn_fishnet150_fpn_scratch.py'
)


class Features(NamedTuple):
    """All features of the fish, F0 ... F10 for three stages. Adjacent parts share the feature where they meet."""

    tail: List[Tensor]
    """F0 ... F3, at strides 4 ... 32."""
    body: List[Tensor]
    """F4 ... F7, at strides 32 ... 4."""
    head: List[Tensor]
    """F7 ... F10, at strides 4 ... 32."""
    refined: List[Tensor]
    """R(F7) ... R(F9), the head's refined features (Eq. 9), at strides 4 ... 16."""


@MODELS.register_module()
class FishNet(BaseModule):
    """FishNet backbone (`NeurIPS 2018 <https://arxiv.org/abs/1901.03495>`_). Its outputs equal the released models'.

    FishNet has three parts. The tail is like a ResNet. The body brings the deepest feature back to high resolution. The head
    goes down again. The network keeps the features of every resolution and refines them. A detector's neck takes the features
    of FishNet's head.

    Args:
        depth (int, optional): 99, 150 or 201, as released; 55 or 77 for small images; None for a custom architecture.
        arch (Mapping | Fish, optional): Changes to the architecture of ``depth``, as arguments of :class:`Fish`:
            ``arch=dict(down='conv')``. An ``arch`` with all arguments replaces it as a whole.
        in_channels (int): Channels of the images.
        out_indices (Sequence[int]): Levels to return, ascending. Level i has stride 4 * 2**i (55 and 77: 2**i). The released
            depths have the levels 0 to 3, with 320, 832, 1600 and 2112 channels. Stages after the last of them are not built.
        head_output (str): 'refined' returns R(F7), R(F8), R(F9) and F10, to which the paper attaches FPN (Eq. 9). 'concat'
            returns F7, F8, F9 and F10. Channels and sizes are the same.
        frozen_stages (int): Parts that training never changes: -1 none, 0 the stem (section 4.4), 1 to 3 the stem and that
            many stages of the tail.
        norm_cfg (Mapping): Normalisation layer. The default, with ``norm_eval``, is the paper's frozen BN for detection
            (section 4.4). Frozen BN needs pretrained weights: with random weights the activations grow and the loss becomes
            NaN. To train from scratch use ``norm_cfg=dict(type='BN'), norm_eval=False, frozen_stages=-1`` (also 'SyncBN' or
            'GN') and a neck with normalisation, since the features are not normalised.
        norm_eval (bool): Whether BN keeps its running statistics in training.
        with_cp (bool): Whether to use gradient checkpointing: only the inputs of the stages are saved for the backward pass,
            and the stages are computed again there. FishNet-150 with frozen BN then saves 40 % of the memory and takes one
            more forward pass. BN that trains updates its statistics twice a step.
        fused (bool): Whether the fast path may run (:mod:`fishnet_mmdet.models.fused`): same results to rounding, less memory
            and time. Use False for second derivatives.
        init_cfg (dict | list[dict], optional): Initialisation. ``dict(type='FishNetPretrained', checkpoint=NAME_FILE_OR_URL)``
            loads released weights or our checkpoints; mmengine's ``Pretrained`` does the same here. The default is the random
            initialisation of the released models.

    Attributes:
        fish (Fish): The architecture.
        out_channels (tuple[int]): Channels of the outputs, for the neck's ``in_channels``.
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
        depth: Optional[int] = 150,
        arch: Union[Mapping, Fish, None] = None,
        in_channels: int = 3,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        head_output: str = 'refined',
        frozen_stages: int = 0,
        norm_cfg: Mapping = dict(type='BN', requires_grad=False),
        norm_eval: bool = True,
        with_cp: bool = False,
        fused: bool = True,
        init_cfg: Union[dict, List[dict], None] = None,
    ) -> None:
        if init_cfg is None:
            init_cfg = [
                dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu'),
                dict(type='Constant', layer=['_BatchNorm', 'GroupNorm'], val=1, bias=0),
            ]
        super().__init__(_strict(init_cfg))
        self.fish = fish = get_fish(depth, arch, self.variants)
        check_arguments(fish, in_channels, out_indices, head_output, frozen_stages, with_cp=with_cp, fused=fused)
        self.in_channels = in_channels
        self.out_indices = tuple(out_indices)
        self.head_output = head_output
        self.frozen_stages = frozen_stages
        self.norm_cfg = norm_cfg
        self.norm_eval = norm_eval
        self.fused = fused

        options = Options(norm_cfg, fused, with_cp)
        self.stem = (Stem if fish.deep_stem else PlainStem)(fish, in_channels, options)
        self.tail = Tail(fish, options)
        self.bridge = Bridge(fish, options)
        self.body = Body(fish, options)
        self.head = Head(fish, self.out_indices[-1], head_output == 'refined', options)
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
            image (Tensor): (n, in_channels, h, w), normalised; h and w are at least the largest stride (32).

        Returns:
            Features: The features of each part. A shortened head has no features after its last stage.

        Raises:
            FishNetError: If ``image`` is no such tensor, or has one value a channel where BN trains.
        """
        check_image(image, self)
        tail = self.tail(self.stem(to_channels_last(image) if self.fused else image))
        body = self.body(self.bridge(tail[-1]), tail)
        head, refined = self.head(body)
        return Features(tail, body, head, refined)

    def forward(self, image: Tensor) -> Tuple[Tensor, ...]:
        """The features of the head.

        Args:
            image (Tensor): (n, in_channels, h, w), normalised; h and w are at least the largest stride (32).

        Returns:
            tuple[Tensor]: A feature for each of ``out_indices``. Level i is (n, channels, ceil(h / s), ceil(w / s)) with its
            stride s, whether or not h and w are multiples of s, as in mmdet's ResNet.

        Raises:
            FishNetError: If ``image`` is no such tensor, or has one value a channel where BN trains.
        """
        features = self.features(image)
        levels = features.head
        if self.head_output == 'refined':
            levels = features.refined + features.head[len(features.refined) :]
        return tuple(as_returned(levels[i]) if self.fused else levels[i].contiguous() for i in self.out_indices)

    def train(self, mode: bool = True) -> 'FishNet':
        """Sets training mode. Frozen parts, and BN with ``norm_eval``, stay in evaluation mode."""
        super().train(mode)
        for part in [self.stem, *self.tail.values()][: self.frozen_stages + 1]:
            part.eval()
            part.requires_grad_(False)
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def init_weights(self) -> None:
        """Initialises the weights as ``init_cfg`` says. Warns if BN is frozen and has no pretrained statistics."""
        super().init_weights()
        if problem := untrained_frozen_norm(self):
            print_log(problem, logger='current', level=logging.WARNING)

    def has_untrained_frozen_norm(self) -> bool:
        """Whether BN is frozen and its statistics are the initial ones, of a network that was never trained."""
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


@MODELS.register_module()
class FishNeXt(FishNet):
    """FishNet with grouped 3x3 convolutions in bottlenecks twice as wide (section 4.2 and Table 1; never released).

    All units of one resolution have the same group width: 4 at stride 4, doubled with each stage. The arguments are those of
    :class:`FishNet`. ``depth`` is 99, 150 or 201, or None for a custom ``arch`` with its own ``group_width``.
    """

    variants = FISHNEXTS


def untrained_frozen_norm(model: nn.Module) -> Optional[str]:
    """Why training a model would fail: a FishNet in it has frozen BN and random weights.

    Args:
        model (nn.Module): A detector, a backbone, or anything else, with its weights loaded.

    Returns:
        str | None: What is wrong and what to do, or None if training can start.
    """
    for name, module in model.named_modules():
        if isinstance(module, FishNet) and module.has_untrained_frozen_norm():
            return (
                f'{name or "FishNet"} has frozen BN and random weights. Frozen BN needs pretrained statistics: with random '
                'weights the activations grow and the loss becomes NaN. Load weights with '
                f"init_cfg=dict(type='FishNetPretrained', checkpoint='fishnet150') in the backbone; {FROM_SCRATCH}"
            )
    return None


def _strict(init_cfg: Union[dict, List[dict]]) -> Union[dict, List[dict]]:
    """Replaces mmengine's ``Pretrained``, which skips weights that do not fit, by FishNet's own loader.

    Raises:
        FishNetError: If it is no dict with a type, or loads weights and does not say which.
    """
    if isinstance(init_cfg, list):
        return [_strict(one) for one in init_cfg]
    kind = init_cfg.get('type') if isinstance(init_cfg, Mapping) else None
    if kind is None or (kind in ('Pretrained', 'FishNetPretrained') and 'checkpoint' not in init_cfg):
        raise FishNetError(
            "init_cfg must be a dict with a type, such as dict(type='FishNetPretrained', checkpoint='fishnet150'), or a list "
            f'of such dicts, not {init_cfg!r}'
        )
    if kind == 'Pretrained':
        return dict(type='FishNetPretrained', checkpoint=init_cfg['checkpoint'], prefix=init_cfg.get('prefix'))
    return init_cfg
