"""The checks of FishNet's arguments and images: each fault is one message."""

from typing import Sequence

import torch.nn as nn
from mmengine.dist import get_world_size
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import FishNetError
from .fish import Fish
from .fused import is_tracing

HEAD_OUTPUTS = ('refined', 'concat')


def check_arguments(
    fish: Fish, in_channels: int, out_indices: Sequence[int], head_output: str, frozen_stages: int, **switches: bool
) -> None:
    """Checks the arguments of a FishNet.

    Raises:
        FishNetError: If one has a value that is not allowed.
    """
    if type(in_channels) is not int or in_channels < 1:
        raise FishNetError(f'in_channels must be a positive integer, not {in_channels!r}')
    allowed = range(fish.num_stages + 1)
    indices = out_indices if isinstance(out_indices, Sequence) else ()
    if not indices or any(type(i) is not int or i not in allowed for i in indices) or list(indices) != sorted(set(indices)):
        raise FishNetError(
            f'out_indices must be some of {", ".join(map(str, allowed))} in ascending order, not {out_indices!r}'
        )
    if head_output not in HEAD_OUTPUTS:
        raise FishNetError(f'head_output must be one of {", ".join(map(repr, HEAD_OUTPUTS))}, not {head_output!r}')
    if type(frozen_stages) is not int or frozen_stages not in range(-1, fish.num_stages + 1):
        raise FishNetError(
            f'frozen_stages must be -1 (nothing), 0 (the stem) or 1 to {fish.num_stages} (the stem and that many stages of '
            f'the tail), not {frozen_stages!r}'
        )
    for name, value in switches.items():
        if type(value) is not bool:
            raise FishNetError(f'{name} must be True or False, not {value!r}')


def check_image(image: Tensor, net: nn.Module) -> None:
    """Checks the images of a FishNet.

    Raises:
        FishNetError: If they are no tensor (n, in_channels, h, w) with h and w of at least the largest stride, or if BN trains
            and would get one value a channel.
    """
    # A compiler or a trace would make conditions on sizes a part of its graph.
    if is_tracing(image):
        return
    wanted = f'(n, {net.in_channels}, h, w)'
    if not isinstance(image, Tensor):
        raise FishNetError(
            f'FishNet needs a tensor of shape {wanted}, not a {type(image).__name__}: use torch.stack for a list of tensors, '
            'and torch.from_numpy(image).permute(2, 0, 1)[None].float() for a NumPy image'
        )
    shape = tuple(image.shape)
    if image.dim() == 3:
        raise FishNetError(f'the image of shape {shape} has no batch dimension: FishNet needs {wanted}, use image[None]')
    if image.dim() != 4:
        raise FishNetError(f'FishNet needs images of shape {wanted}, not {shape}')
    if shape[1] != net.in_channels:
        raise FishNetError(
            f'images of shape {shape} have {shape[1]} channels, but this FishNet takes {net.in_channels}: build it with '
            f'in_channels={shape[1]}, or convert the images'
        )
    stride = net.fish.strides[-1]
    if min(shape[2:]) < stride:
        raise FishNetError(
            f'images of {shape[2]}x{shape[3]} pixels are too small: this FishNet needs at least {stride}x{stride}, its '
            'largest stride; resize or pad them'
        )
    if shape[0] == 1 and max(shape[2:]) == stride and any(map(_trains_alone, net.bridge.modules())):
        raise FishNetError(
            f'BN cannot train on one image of {stride}x{stride} pixels, which is one value a channel at the largest stride: '
            'use a larger batch or larger images, or norm_eval=True'
        )


def _trains_alone(module: nn.Module) -> bool:
    """Whether a BN computes statistics from the images of this process alone."""
    is_synchronised = isinstance(module, nn.SyncBatchNorm) and get_world_size() > 1
    return isinstance(module, _BatchNorm) and module.training and not is_synchronised
