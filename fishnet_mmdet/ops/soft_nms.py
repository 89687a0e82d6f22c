"""Soft-NMS (Bodla et al. 2017): a box that overlaps a better one loses score instead of being dropped.

It takes one box after the other, so the work on each is a few NumPy calls, which start faster than PyTorch's.
"""

from typing import Callable, Dict

import numpy as np
import torch
from torch import Tensor

from .layout import computed_in

#: Factor of the score by mmcv's number for the method, from overlaps, threshold and sigma.
FACTORS: Dict[int, Callable] = {
    0: lambda iou, threshold, sigma: np.where(iou >= threshold, 0, 1),
    1: lambda iou, threshold, sigma: np.where(iou >= threshold, 1 - iou, 1),
    2: lambda iou, threshold, sigma: np.exp(-(iou * iou) / sigma),
}


def soft_nms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """mmcv's ``softnms`` on the CPU.

    Args:
        boxes (Tensor): Left, top, right, bottom; shape (n, 4).
        scores (Tensor): Shape (n,).
        dets (Tensor): Is written: the chosen boxes with their new scores, shape (n, 5).
        iou_threshold (float): Overlap from which the methods 0 and 1 lower a score.
        sigma (float): Width of the Gaussian of method 2.
        min_score (float): Boxes whose score falls below this are dropped.
        method (int): 0: to zero; 1: linear; 2: Gaussian.
        offset (int): Added to the width and height of boxes, 0 or 1.

    Returns:
        Tensor: Indices of the chosen boxes in the order of choice.
    """
    boxes, scores = boxes.to(computed_in(boxes)), scores.to(computed_in(boxes))
    areas = (boxes[:, 2] - boxes[:, 0] + offset) * (boxes[:, 3] - boxes[:, 1] + offset)
    rows = torch.cat((boxes.t(), areas[None], scores[None])).numpy()
    index = np.arange(len(boxes))
    chosen = 0
    while chosen < len(index):
        best = chosen + rows[5, chosen:].argmax()
        rows[:, [chosen, best]] = rows[:, [best, chosen]]
        index[[chosen, best]] = index[[best, chosen]]
        left, top, right, bottom, area, _ = rows[:, chosen]
        chosen += 1
        rest = rows[:, chosen:]
        width = np.maximum(np.minimum(right, rest[2]) - np.maximum(left, rest[0]) + offset, 0)
        height = np.maximum(np.minimum(bottom, rest[3]) - np.maximum(top, rest[1]) + offset, 0)
        inter = width * height
        union = area + rest[4] - inter
        # Two boxes without area have neither intersection nor union.
        iou = np.divide(inter, union, out=np.zeros_like(inter), where=union != 0)
        rest[5] *= FACTORS[method](iou, iou_threshold, sigma)
        low = rest[5] < min_score
        if low.any():
            order = np.concatenate((np.arange(chosen), chosen + _compacted(low)))
            rows, index = rows[:, order], index[order]
    dets[: len(index)] = torch.from_numpy(rows[[0, 1, 2, 3, 5]]).t().to(dets.dtype)
    return torch.from_numpy(index)


def _compacted(drop: np.ndarray) -> np.ndarray:
    """The order in which mmcv leaves elements: it fills the place of a dropped one with the last that stays."""
    stay = np.flatnonzero(~drop)
    order = np.arange(len(stay))
    holes = np.flatnonzero(drop[: len(stay)])
    order[holes] = stay[::-1][: len(holes)]
    return order
