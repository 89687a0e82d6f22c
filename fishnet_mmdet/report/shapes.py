"""Boxes and masks as short lists of whole numbers, for the page to draw."""

from typing import List, Optional, Sequence

import cv2
import numpy as np
from pycocotools import mask as rle_masks

from ..inference.drawing import enlargement, mask_outlines

#: The page's coordinates: the longer side of an image has this many units.
UNITS = 1000
#: How far a simplified contour may be from the true one, in units.
TOLERANCE = 1.2


def box_numbers(box: Sequence[float], height: int, width: int) -> List[int]:
    """x, y, w, h of a box in units.

    Args:
        box (Sequence[float]): x1, y1, x2, y2 in pixels.
        height (int): Of the image, in pixels.
        width (int): Of the image, in pixels.
    """
    x1, y1, x2, y2 = np.round(np.asarray(box) * UNITS / max(height, width)).astype(int).tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def mask_numbers(rle: Optional[dict], height: int, width: int) -> List[List[int]]:
    """The contours of a mask, each as x, y, x, y ... in units. Holes are contours too.

    Args:
        rle (dict, optional): The mask as COCO's RLE.
        height (int): Of the image, in pixels.
        width (int): Of the image, in pixels.
    """
    if rle is None or not rle_masks.area(rle):
        return []
    factor = enlargement(height, width)
    scale = UNITS / (factor * max(height, width))
    # A page can have half a million masks: all but the decoding is done on the mask's own part of the image.
    x, y, w, h = rle_masks.toBbox(rle).astype(int)
    outlines = mask_outlines(rle_masks.decode(rle)[y : y + h, x : x + w] > 0, factor)
    simple = [cv2.approxPolyDP(outline, TOLERANCE / scale, True)[:, 0] for outline in outlines]
    # A contour goes through the middles of pixels.
    corner = factor * np.array([x, y]) + 0.5
    return [np.round((polygon + corner) * scale).astype(int).ravel().tolist() for polygon in simple]
