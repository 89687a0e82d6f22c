"""Bilinear resizing as OpenCV and Pillow do it with uint8 images, up to the last bit.

A detector that gets other pixels than in training finds almost the same, but "almost" could not be told from a mistake.
"""

from typing import Callable, Dict, NamedTuple

import torch
from torch import Tensor

from .operators import divided

#: OpenCV's weights are whole numbers, and 1 is this one; and Pillow's.
ONE, PILLOW_ONE = 2048, 2**22


class Axis(NamedTuple):
    """How OpenCV interpolates along one axis: from two pixels each, of these places with these weights."""

    first: Tensor
    second: Tensor
    first_weight: Tensor
    second_weight: Tensor


def opencv(image: Tensor, size: Tensor) -> Tensor:
    """``cv2.resize`` with ``INTER_LINEAR``, bit for bit: it computes in whole numbers and rounds down in between.

    Args:
        image (Tensor): (h, w, 3), uint8.
        size (Tensor): Height and width of the result.

    Returns:
        Tensor: (*size, 3), whole numbers from 0 to 255, float32.
    """
    height, width = whole(size)
    x = _axis(image.shape[1], width)
    # Beyond the outermost pixels of a row there is one weight. Beyond those of a column, OpenCV uses the same pixel twice.
    inside = (x.first >= 0) & (x.first < image.shape[1] - 1)
    first_weight = torch.where(inside, x.first_weight, ONE)[:, None]
    second_weight = torch.where(inside, x.second_weight, 0)[:, None]
    pixels = image.int()
    left = pixels.index_select(1, x.first.clamp(min=0))
    right = pixels.index_select(1, x.second.clamp(max=image.shape[1] - 1))
    rows = divided(left * first_weight + right * second_weight, 16)
    y = _axis(image.shape[0], height)
    last = image.shape[0] - 1
    above = divided(rows.index_select(0, y.first.clamp(0, last)) * y.first_weight[:, None, None], 65536)
    below = divided(rows.index_select(0, y.second.clamp(0, last)) * y.second_weight[:, None, None], 65536)
    return divided(above + below + 2, 4).clamp(max=255).float()


def pillow(image: Tensor, size: Tensor) -> Tensor:
    """Pillow's ``resize`` with ``BILINEAR``, bit for bit. Where it shrinks an image, it averages all pixels.

    Args:
        image (Tensor): (h, w, 3), uint8.
        size (Tensor): Height and width of the result.

    Returns:
        Tensor: (*size, 3), whole numbers from 0 to 255, float32.
    """
    height, width = whole(size)
    # The sums are whole numbers below 2^53, so float64 has all of their digits.
    pixels = image.permute(2, 0, 1).double()
    pixels = _rounded(pixels @ _triangles(image.shape[1], width).t())
    pixels = _rounded(_triangles(image.shape[0], height) @ pixels)
    return pixels.permute(1, 2, 0).float()


def whole(size: Tensor):
    """Height and width as numbers, which ``torch.export`` then knows to be sizes."""
    height, width = size[0].item(), size[1].item()
    for side in (height, width):
        torch._check(side >= 1)
    return height, width


def _axis(before: int, after: int) -> Axis:
    # The centre of pixel i of the result lies at (i + 0.5) * before / after - 0.5, in whole numbers over 2 * after.
    place = (2 * torch.arange(after) + 1) * before - after
    first = divided(place + 2 * after, 2 * after) - 1
    # OpenCV keeps the sum as float32, and so its rounding.
    fraction = first.float() + (place - first * 2 * after).float() / (2 * after) - first.float()
    return Axis(first, first + 1, _weight(1 - fraction), _weight(fraction))


def _weight(fraction: Tensor) -> Tensor:
    return (fraction * ONE).round().int()


def _triangles(before: int, after: int) -> Tensor:
    """Weights (after, before) of Pillow's filter: triangles as wide as the scale, each with the sum ``PILLOW_ONE``."""
    scale = torch.scalar_tensor(before).double() / after
    centre = (torch.arange(after).double()[:, None] + 0.5) * scale
    distance = (torch.arange(before).double() + 0.5 - centre) / scale.clamp(min=1)
    weights = (1 - distance.abs()).clamp(min=0)
    return torch.floor(weights / weights.sum(dim=1, keepdim=True) * PILLOW_ONE + 0.5)


def _rounded(sums: Tensor) -> Tensor:
    return torch.floor((sums + PILLOW_ONE // 2) / PILLOW_ONE).clamp(0, 255)


#: The functions by the backend of a resize step.
BACKENDS: Dict[str, Callable[[Tensor, Tensor], Tensor]] = dict(cv2=opencv, pillow=pillow)
