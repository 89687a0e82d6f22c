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
    sides = original.double()
    factor = torch.minimum(_ratio(max(scale), sides.max()), _ratio(min(scale), sides.min()))
    return (sides * factor + 0.5).long()


def enlarge(original: Tensor, shorter: int, longer: int) -> Tensor:
    """Our ``Enlarge``: until the shorter side has ``shorter`` pixels, but the longer one at most ``longer``."""
    sides = original.double()
    factor = torch.minimum(_ratio(shorter, sides.min()).clamp(min=1), _ratio(longer, sides.max()))
    return (sides * factor).round().clamp(min=1).long()


def shortest_edge(original: Tensor, scale: int, max_size: Optional[int] = None) -> Tensor:
    """mmdet's ``ResizeShortestEdge``: the shorter side to ``scale``, but the longer one at most to ``max_size``."""
    sides = original.double()
    sides = sides * _ratio(scale, sides.min())
    if max_size:
        sides = sides * _ratio(max_size, sides.max()).clamp(max=1)
    return (sides + 0.5).long()


def _ratio(pixels: int, side: Tensor) -> Tensor:
    # A number over a tensor would become a product with the tensor's reciprocal, whose last bit differs.
    return torch.tensor(pixels, dtype=side.dtype) / side


#: The functions by the ``kind`` of a resize step. The step's other entries are their arguments.
KINDS: Dict[str, Callable[..., Tensor]] = dict(Resize=resize, Enlarge=enlarge, ShortSide=shortest_edge)
