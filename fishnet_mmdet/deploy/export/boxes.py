"""Boxes: the grids that heads start from, how offsets become boxes, and which of overlapping boxes stay."""

import math
from typing import NamedTuple, Sequence

import torch
from torch import Tensor

from .operators import nms

#: A number of boxes that no image reaches, where a config sets no limit.
ALL = 2**31 - 1


class Detections(NamedTuple):
    """Objects of one image."""

    boxes: Tensor
    """Left, top, right, bottom; shape (n, 4)."""
    labels: Tensor
    """Index of the class; shape (n,)."""
    scores: Tensor
    """Shape (n,)."""


def grid(feature: Tensor, stride: Sequence[float], offset: float = 0.0) -> Tensor:
    """The point (x, y) of every pixel of a feature, in pixels of the image.

    Args:
        feature (Tensor): Shape (1, c, h, w).
        stride (Sequence[float]): Pixels of the image between two of the feature: (x, y).
        offset (float): Of a point in its pixel, as a share of it.

    Returns:
        Tensor: Shape (h, w, 2).
    """
    height, width = feature.shape[2:]
    x = (torch.arange(width, dtype=torch.float32) + offset) * stride[0]
    y = (torch.arange(height, dtype=torch.float32) + offset) * stride[1]
    return torch.stack([x[None, :].expand(height, width), y[:, None].expand(height, width)], dim=-1)


def anchors(feature: Tensor, base: Tensor, stride: Sequence[float]) -> Tensor:
    """All anchors of a feature.

    Args:
        feature (Tensor): Shape (1, c, h, w).
        base (Tensor): The anchors of the first pixel, shape (a, 4).
        stride (Sequence[float]): As in :func:`grid`.

    Returns:
        Tensor: Shape (h * w * a, 4).
    """
    return (grid(feature, stride).repeat(1, 1, 2)[:, :, None] + base).reshape(-1, 4)


def from_deltas(anchors: Tensor, deltas: Tensor, coder, size: Tensor) -> Tensor:
    """Boxes from offsets to anchors, relative to their size (Girshick et al. 2014), as mmdet's ``DeltaXYWHBBoxCoder``.

    Args:
        anchors (Tensor): Shape (n, 4).
        deltas (Tensor): Shape (n, 4).
        coder (DeltaXYWHBBoxCoder): Means and deviations of the deltas.
        size (Tensor): Height and width of the image: boxes are clipped to it.
    """
    deltas = deltas * deltas.new_tensor(coder.stds) + deltas.new_tensor(coder.means)
    centre = (anchors[:, :2] + anchors[:, 2:]) * 0.5
    extent = anchors[:, 2:] - anchors[:, :2]
    largest = abs(math.log(16 / 1000))
    centre = centre + extent * deltas[:, :2]
    half = extent * deltas[:, 2:].clamp(-largest, largest).exp() * 0.5
    boxes = torch.cat([centre - half, centre + half], dim=-1)
    return clip(boxes, size) if coder.clip_border else boxes


def from_distances(points: Tensor, distances: Tensor, coder, size: Tensor) -> Tensor:
    """Boxes from the distances of points to their four sides, as mmdet's ``DistancePointBBoxCoder``.

    Args:
        points (Tensor): Shape (n, 2).
        distances (Tensor): To the left, top, right and bottom; shape (n, 4).
        coder (DistancePointBBoxCoder): Says whether boxes are clipped.
        size (Tensor): Height and width of the image.
    """
    boxes = torch.cat([points - distances[:, :2], points + distances[:, 2:]], dim=-1)
    return clip(boxes, size) if coder.clip_border else boxes


def clip(boxes: Tensor, size: Tensor) -> Tensor:
    """Boxes (n, 4) within an image of this height and width."""
    return torch.minimum(boxes.clamp(min=0), size.flip(0).to(boxes.dtype).repeat(2))


def suppress(boxes: Tensor, labels: Tensor, scores: Tensor, cfg: dict, most: int) -> Detections:
    """Non-maximum suppression within each class, as mmcv's ``batched_nms``: classes are moved apart, then all are one.

    Args:
        boxes (Tensor): Shape (n, 4).
        labels (Tensor): Shape (n,).
        scores (Tensor): Shape (n,).
        cfg (dict): ``iou_threshold``, maybe ``class_agnostic``.
        most (int): Objects that are kept at most; a number that is not positive sets no limit.
    """
    apart = boxes
    if not cfg.get('class_agnostic', False):
        # Of no boxes there is no maximum.
        farthest = torch.cat([boxes.reshape(-1), boxes.new_zeros(1)]).max()
        apart = boxes + (labels.to(boxes.dtype) * (farthest + 1))[:, None]
    kept = nms(apart, scores, cfg['iou_threshold'], most if most > 0 else ALL)
    return Detections(*(values.index_select(0, kept) for values in (boxes, labels, scores)))


def rows(maps: Tensor, channels: int) -> Tensor:
    """A head's output (1, a * channels, h, w) as (h * w * a, channels), in the order of the anchors."""
    return maps[0].permute(1, 2, 0).reshape(-1, channels)
