"""How large the transforms of a test pipeline make an image: tensors of (height, width) in, tensors out.

The arithmetic is in float64, in the order of mmcv's, so that the last pixel agrees.
"""

from typing import Callable, Dict, Optional, Sequence

import torch
from torch import Tensor


def resize(original: Tensor, scale: Sequence[int], keep_ratio: bool) -> Tensor:
    """mmdet's ``Resize``: into ``scale`` (width, height), or with ``keep_ratio`` as large as fits into its sides."""
    if not keep_ratio:
        return torch.tensor([scale[1], scale[0]])
    factor = torch.minimum(_ratio(max(scale), original.max()), _ratio(min(scale), original.min()))
    return (original * factor + 0.5).long()


def enlarge(original: Tensor, shorter: int, longer: int) -> Tensor:
    """Our ``Enlarge``: until the shorter side has ``shorter`` pixels, but the longer one at most ``longer``."""
    factor = torch.minimum(_ratio(shorter, original.min()).clamp(min=1), _ratio(longer, original.max()))
    return (original * factor).round().clamp(min=1).long()


def shortest_edge(original: Tensor, scale: int, max_size: Optional[int] = None) -> Tensor:
    """mmdet's ``ResizeShortestEdge``: the shorter side to ``scale``, but the longer one at most to ``max_size``."""
    sides = original * _ratio(scale, original.min())
    if max_size:
        sides = sides * (torch.tensor(max_size, dtype=torch.double) / sides.max()).clamp(max=1)
    return (sides + 0.5).long()


def _ratio(pixels: int, side: Tensor) -> Tensor:
    # A number over a tensor would become a product with the tensor's reciprocal, whose last bit differs. Minima are taken of
    # whole numbers, because OpenVINO's minimum of float64 is wrong where it decides a shape.
    return torch.tensor(pixels, dtype=torch.double) / side.double()


#: The functions by the ``kind`` of a resize step. The step's other entries are their arguments.
KINDS: Dict[str, Callable[..., Tensor]] = dict(Resize=resize, Enlarge=enlarge, ShortSide=shortest_edge)
