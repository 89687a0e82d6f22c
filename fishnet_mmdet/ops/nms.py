"""Non-maximum suppression and NMS match, exact and without a loop over the boxes.

A box is kept if no kept box with a higher score overlaps it. With the boxes in order of their scores, and ``over[i, j]``
true where i < j overlap, the kept ones are the fixed point of ``keep = ~over[keep].any(0)``: after step i at least the
first i boxes have their final state. A few steps suffice, since chains of boxes that suppress each other are short.
"""

from typing import Callable, List

import torch
from torch import Tensor

from .layout import computed_in
from .vision import torchvision_op

#: Boxes that are compared with each other at once. Their matrices fit into a processor's cache, and bound the memory.
BLOCK = 256
#: Kept boxes that a block is compared with at once.
KEPT_BLOCK = 512


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """mmcv's ``nms``.

    Args:
        boxes (Tensor): Left, top, right, bottom; shape (n, 4).
        scores (Tensor): Shape (n,).
        iou_threshold (float): A box is suppressed if it overlaps a kept one by more than this.
        offset (int): Added to the width and height of boxes, 0 or 1.

    Returns:
        Tensor: Indices of the kept boxes by descending score.
    """
    if not len(boxes):
        return boxes.new_zeros(0, dtype=torch.long)
    boxes, scores = boxes.to(computed_in(boxes)), scores.to(computed_in(scores))
    op = torchvision_op('nms', boxes)
    if op is not None and offset == 0:
        return op(boxes, scores.to(boxes.dtype), iou_threshold)
    order = scores.sort(0, descending=True)[1]
    return order[kept(boxes[order], iou_threshold, offset, torch.gt)]


def nms_match(dets: Tensor, iou_threshold: float) -> List[List[int]]:
    """mmcv's ``nms_match``: every kept box with the boxes that it suppresses, by descending score.

    Args:
        dets (Tensor): Left, top, right, bottom, score; shape (n, 5).
        iou_threshold (float): A box is suppressed if it overlaps a kept one by at least this.
    """
    dets = dets.to(computed_in(dets))
    order = dets[:, 4].sort(0, descending=True)[1]
    boxes = dets[order, :4]
    keep = kept(boxes, iou_threshold, 0, torch.ge)
    groups = {i: [index] for i, index in zip(keep.tolist(), order[keep].tolist())}
    suppressed = torch.ones(len(boxes), dtype=torch.bool).index_fill_(0, keep, False).nonzero()[:, 0]
    for some in suppressed.split(KEPT_BLOCK * BLOCK // len(boxes) + 1):
        # The first box that overlaps is the one that suppresses; argmax gives the first maximum.
        first = torch.ge(overlaps(boxes[keep], boxes[some]), iou_threshold).byte().argmax(0)
        for i, index in zip(keep[first].tolist(), order[some].tolist()):
            groups[i].append(index)
    return list(groups.values())


def kept(boxes: Tensor, threshold: float, offset: int, exceeds: Callable) -> Tensor:
    """Positions of the boxes that are kept, of boxes in order of their scores.

    Args:
        boxes (Tensor): Shape (n, 4), the highest score first.
        threshold (float): Of the overlap.
        offset (int): Added to the width and height of boxes.
        exceeds (Callable): What an overlap does to the threshold if a box is suppressed: torch.gt or torch.ge.
    """
    result = boxes.new_zeros(0, dtype=torch.long)
    for start in range(0, len(boxes), BLOCK):
        candidates = torch.arange(start, min(start + BLOCK, len(boxes)), device=boxes.device)
        for higher in result.split(KEPT_BLOCK):
            over = exceeds(overlaps(boxes[higher], boxes[candidates], offset), threshold)
            candidates = candidates[~over.any(0)]
        over = exceeds(overlaps(boxes[candidates], boxes[candidates], offset), threshold).triu_(1)
        keep = torch.ones_like(candidates, dtype=torch.bool)
        while True:
            before, keep = keep, ~over[keep].any(0)
            if torch.equal(before, keep):
                break
        result = torch.cat((result, candidates[keep]))
    return result


def overlaps(first: Tensor, second: Tensor, offset: int = 0) -> Tensor:
    """Intersection over union of all pairs of boxes (m, 4) and (n, 4), in the order of mmcv's arithmetic; shape (m, n)."""
    left, top, right, bottom = first.t().unsqueeze(2)
    width = torch.minimum(right, second[:, 2]).sub_(torch.maximum(left, second[:, 0])).add_(offset).clamp_(min=0)
    height = torch.minimum(bottom, second[:, 3]).sub_(torch.maximum(top, second[:, 1])).add_(offset).clamp_(min=0)
    inter = width.mul_(height)
    return inter.div_(areas(first, offset)[:, None] + areas(second, offset) - inter)


def areas(boxes: Tensor, offset: int = 0) -> Tensor:
    """The areas of boxes, shape (n,)."""
    return (boxes[:, 2] - boxes[:, 0] + offset) * (boxes[:, 3] - boxes[:, 1] + offset)
