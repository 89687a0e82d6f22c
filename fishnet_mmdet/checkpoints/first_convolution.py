"""Pretrained weights for another number of input channels: grey images, infrared, many bands."""

from typing import Dict, Mapping

import torch
from torch import Tensor

FIRST = 'stem.conv1.weight'


def adapt(given: Dict[str, Tensor], wanted: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """The weights, with the first convolution adapted to a network's number of input channels.

    For one channel the filters are summed over their channels. For more they are repeated and scaled by old / new, and
    the rest to the old sum is spread evenly (it is 0 for multiples of the old number). So the response to a grey image,
    repeated in every channel, stays the same.

    Args:
        given (dict[str, Tensor]): Weights of a FishNet. The first convolution has the shape (out, old, height, width).
        wanted (Mapping[str, Tensor]): The network's ``state_dict()``, with (out, new, height, width).

    Returns:
        dict[str, Tensor]: ``given`` itself where nothing has to be adapted.
    """
    weight = given.get(FIRST)
    shape = wanted[FIRST].shape
    if weight is None or weight.ndim != 4 or not weight.is_floating_point() or weight.shape == shape:
        return given
    old, new = weight.shape[1], shape[1]
    if old == 0 or (weight.shape[0], *weight.shape[2:]) != (shape[0], *shape[2:]):
        return given
    weight = weight.float()
    repeated = weight[:, torch.arange(new) % old] * (old / new)
    rest = weight.sum(1, keepdim=True) - repeated.sum(1, keepdim=True)
    return {**given, FIRST: repeated + rest / new}
