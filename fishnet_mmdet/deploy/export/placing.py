"""What happens to the objects after the network: their boxes and masks in the pixels of the given image."""

from typing import Optional, Tuple

import torch
from torch import Tensor, nn

from .resizing import whole


class Placing(nn.Module):
    """Scales boxes back, as mmdet does, and draws masks into the image.

    Args:
        mask_threshold (float): Probability from which on a pixel belongs to an object.
    """

    def __init__(self, mask_threshold: float = 0.5) -> None:
        super().__init__()
        self.mask_threshold = mask_threshold

    def forward(self, boxes: Tensor, masks: Optional[Tensor], original: Tensor, resized: Tensor) -> Tuple:
        """Boxes (n, 4), maybe probabilities (n, s, s), and height and width of the image before and after resizing.

        Returns:
            tuple: Boxes in pixels of the image; masks (n, height, width), bool, if there are any.
        """
        boxes = scaled_back(boxes, original, resized)
        if masks is None:
            return (boxes,)
        return boxes, paste(masks, boxes, original) >= self.mask_threshold


def scaled_back(boxes: Tensor, original: Tensor, resized: Tensor) -> Tensor:
    """Boxes (n, 4) in pixels of the resized image, in pixels of the given one."""
    factor = 1 / (resized.double() / original.double())
    return boxes * factor.flip(0).float().repeat(2)


def paste(masks: Tensor, boxes: Tensor, size: Tensor) -> Tensor:
    """Masks of boxes in an image: bilinear between the pixels of a mask, zero outside of it, as ``grid_sample`` does it.

    Bilinear weights are products of a row's and a column's, so two products of matrices do it.

    Args:
        masks (Tensor): Shape (n, s, s).
        boxes (Tensor): Shape (n, 4).
        size (Tensor): Height and width of the image.

    Returns:
        Tensor: Shape (n, *size).
    """
    height, width = whole(size)
    rows = _hats(boxes[:, 1], boxes[:, 3], height, masks.shape[1])
    columns = _hats(boxes[:, 0], boxes[:, 2], width, masks.shape[2])
    return rows @ masks @ columns.transpose(1, 2)


def _hats(start: Tensor, end: Tensor, pixels: int, cells: int) -> Tensor:
    """The weight of each cell of a mask for each pixel of the image, shape (n, pixels, cells)."""
    # A box without width has no pixels.
    place = (torch.arange(pixels) + 0.5 - start[:, None]) / (end - start).clamp(min=1e-6)[:, None] * cells - 0.5
    return (1 - (place[:, :, None] - torch.arange(cells)).abs()).clamp(min=0)
