"""Masks of boxes, pasted into the image."""

import numpy as np

#: In pixels: farther than any image reaches.
FAR = 1e6


def paste_masks(masks: np.ndarray, boxes: np.ndarray, height: int, width: int, threshold: float) -> np.ndarray:
    """Masks of the whole image, as mmdet makes them.

    Args:
        masks (np.ndarray): (n, s, s), float32: probabilities in the boxes.
        boxes (np.ndarray): (n, 4), float32: x1, y1, x2, y2 in pixels of the image.
        height (int): Of the image.
        width (int): Of the image.
        threshold (float): From this probability on, a pixel belongs to the mask.

    Returns:
        np.ndarray: (n, height, width), bool.
    """
    # A network that overflows has boxes without end.
    boxes = np.clip(np.nan_to_num(boxes), -FAR, FAR)
    pasted = np.zeros((len(masks), height, width), bool)
    for mask, (x1, y1, x2, y2), image in zip(masks, boxes, pasted):
        # Beyond the box by a pixel, mmdet's mask ends too.
        top, bottom = max(0, int(np.floor(y1)) - 1), min(height, int(np.ceil(y2)) + 1)
        left, right = max(0, int(np.floor(x1)) - 1), min(width, int(np.ceil(x2)) + 1)
        if top < bottom and left < right:
            rows = _weights(top, bottom, y1, y2, mask.shape[0])
            columns = _weights(left, right, x1, x2, mask.shape[1])
            image[top:bottom, left:right] = rows @ mask @ columns.T >= threshold
    return pasted


def _weights(first: int, last: int, begin: float, end: float, size: int) -> np.ndarray:
    """How much each of the ``size`` values between ``begin`` and ``end`` counts at the pixels from ``first`` to ``last``.

    Bilinear interpolation takes the two nearest values along each axis; beyond the outermost ones there are zeros.
    """
    middles = np.arange(first, last, dtype=np.float32) + np.float32(0.5)
    side = max(np.float32(end) - np.float32(begin), np.float32(1e-6))
    places = (middles - np.float32(begin)) / side * np.float32(size) - np.float32(0.5)
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(size, dtype=np.float32)))
