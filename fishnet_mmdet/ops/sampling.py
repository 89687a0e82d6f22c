"""Bilinear interpolation as bags of table rows.

Interpolation is separable: a bag reads some rows of the map (``y``) times some columns (``x``). An *axis* holds these:
positions and weights of shape (..., reads along this axis).
"""

from typing import NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from .bags import Bags, equal_bags


class Axis(NamedTuple):
    """Reads along one axis of the map.

    Attributes:
        position (Tensor): Pixels inside the map, int32, shape (..., reads).
        weight (Tensor): Their weights, same shape.
        count (Tensor, optional): How many of the reads a bag has, int32, shape (...); the rest is padding. None: all.
    """

    position: Tensor
    weight: Tensor
    count: Optional[Tensor] = None


def neighbours(samples: Tensor, size: int) -> Axis:
    """The two pixels around each sample; pixels outside of the map count as zero.

    Args:
        samples (Tensor): Coordinates, pixel centres are integers; shape (...).
        size (int): Size of the map along the axis.

    Returns:
        Axis: Shape (..., 2).
    """
    low = samples.detach().floor()
    high_weight = samples - low
    position = torch.stack((low, low + 1), -1)
    # A sample at exactly -1 reads nothing, so that its gradient is zero as in mmcv.
    inside = (position >= 0) & (position < size) & (samples.detach() > -1)[..., None]
    weight = torch.stack((1 - high_weight, high_weight), -1) * inside
    return Axis(position.clamp(0, size - 1).int(), weight)


def clamped_neighbours(samples: Tensor, size: int) -> Axis:
    """The two pixels around each sample; samples up to one pixel outside are moved to the border, others count as zero.

    Args:
        samples (Tensor): Coordinates, pixel centres are integers; shape (...).
        size (int): Size of the map along the axis.

    Returns:
        Axis: Shape (..., 2).
    """
    inside = ((samples >= -1) & (samples <= size))[..., None]
    samples = samples.clamp(0, size - 1)
    low = samples.detach().floor()
    high_weight = samples - low
    position = torch.stack((low, low + 1), -1).int().clamp_(0, size - 1)
    return Axis(position, torch.stack((1 - high_weight, high_weight), -1) * inside)


def averaged(samples: Tensor, size: int) -> Axis:
    """The mean of some samples: all of their neighbours.

    Args:
        samples (Tensor): Coordinates, shape (..., samples).
        size (int): Size of the map along the axis.

    Returns:
        Axis: Shape (..., 2 * samples).
    """
    axis = clamped_neighbours(samples, size)
    return Axis(axis.position.flatten(-2), axis.weight.flatten(-2) / samples.shape[-1])


def averaged_densely(samples: Tensor, count: Tensor, size: int) -> Axis:
    """The mean of samples at most a pixel apart: neighbours of different samples that are the same pixel are one read.

    Args:
        samples (Tensor): Increasing coordinates, shape (..., samples).
        count (Tensor): How many of the samples a bag has, shape (...).
        size (int): Size of the map along the axis.

    Returns:
        Axis: Shape (..., samples + 1), of which ``count + 1`` are used, or none where ``count`` is zero.
    """
    axis = clamped_neighbours(samples, size)
    used = torch.arange(samples.shape[-1], device=samples.device) < count[..., None]
    weight = axis.weight * (used / count.clamp(min=1)[..., None].to(samples))[..., None]
    first = axis.position[..., :1, :1]
    slot = (axis.position - first).clamp_(max=samples.shape[-1]).long()
    merged = samples.new_zeros(*samples.shape[:-1], samples.shape[-1] + 1)
    merged = merged.scatter_add(-1, slot.flatten(-2), weight.flatten(-2))
    position = first[..., 0] + torch.arange(samples.shape[-1] + 1, device=samples.device, dtype=torch.int32)
    return Axis(position.clamp_(max=size - 1), merged, torch.where(count > 0, count + 1, 0))


def over_bins(y: Axis, x: Axis) -> Tuple[Axis, Axis]:
    """The axes of all bins of some boxes, from the rows' (k, bins of y, reads) and the columns' (k, bins of x, reads).

    Returns:
        tuple[Axis, Axis]: Rows and columns, each (k * bins of y * bins of x, reads).
    """
    bins = (*y.position.shape[:2], x.position.shape[1])

    def spread(axis, dim):
        return Axis(
            *(None if field is None else field.unsqueeze(dim).expand(*bins, *field.shape[2:]).flatten(0, 2) for field in axis)
        )

    return spread(y, 2), spread(x, 1)


def pairs(y: Axis, x: Axis, first: Tensor, row_step: int, column_step: int = 1) -> Tuple[Tensor, Tensor]:
    """Table rows and weights of all pairs of the reads of two axes without padding.

    Args:
        y (Axis): Rows of the map, shape (bags, reads of y).
        x (Axis): Columns of the map, shape (bags, reads of x).
        first (Tensor): Table row of each bag's pixel (0, 0), int32, shape (bags,).
        row_step (int): Table rows from a pixel to the one below it.
        column_step (int): Table rows from a pixel to the one to its right.

    Returns:
        tuple[Tensor, Tensor]: Index and weight, shape (bags, reads of y * reads of x).
    """
    index = (first[:, None] + y.position * row_step)[:, :, None] + (x.position * column_step)[:, None]
    return index.flatten(1), (y.weight[:, :, None] * x.weight[:, None]).flatten(1)


def outer(y: Axis, x: Axis, first: Tensor, width: int) -> Bags:
    """The bags that read all pairs of the reads of two axes; arguments as in :func:`pairs`, for maps of a width."""
    if y.count is None:
        return equal_bags(*pairs(y, x, first, width))
    # Every read of y begins a line of as many reads as x has in that bag.
    used = torch.arange(y.position.shape[1], device=first.device) < y.count[:, None]
    line_bag = used.nonzero()[:, 0]
    line_start = (first[:, None] + y.position * width)[used]
    line_weight = y.weight[used]
    line_length = x.count[line_bag].long()
    # The read of x at place p of a line stands at this number, plus p, in the flat axis.
    line_column = line_bag * x.position.shape[1] - (line_length.cumsum(0) - line_length)
    line = torch.arange(len(line_bag), device=first.device).repeat_interleave(line_length)
    column = torch.arange(len(line), device=first.device) + line_column[line]
    index = line_start[line] + x.position.flatten()[column]
    weight = line_weight[line] * x.weight.flatten()[column]
    lengths = y.count * x.count
    return Bags(index, weight, torch.cat((lengths.new_zeros(1), lengths.cumsum(0, dtype=torch.int32))))
