"""Boxes on a feature map, divided into bins with samples, as RoIAlign and deformable RoI pooling do it."""

from typing import NamedTuple, Tuple

import torch
from torch import Tensor

from .layout import computed_in


class Grid(NamedTuple):
    """Boxes on a feature map.

    Attributes:
        image (Tensor): Index of the image, int32, shape (k,).
        start (Tensor): Upper left corner (y, x) in pixels of the map, shape (k, 2).
        bin_size (Tensor): Height and width of a bin, shape (k, 2).
        samples (Tensor): Number of samples in a bin along y and x, int32, shape (k, 2).
    """

    image: Tensor
    start: Tensor
    bin_size: Tensor
    samples: Tensor

    def coordinates(self, axis: int, bins: int, samples: int) -> Tensor:
        """Coordinates of the samples along an axis (0: y, 1: x), shape (k, bins, samples)."""
        options = dict(device=self.start.device, dtype=self.start.dtype)
        start, size = self.start[:, axis, None, None], self.bin_size[:, axis, None, None]
        count = self.samples[:, axis, None, None].clamp(min=1)
        inside = (torch.arange(samples, **options) + 0.5) * size / count
        return start + torch.arange(bins, **options)[:, None] * size + inside


def make_grid(rois: Tensor, bins: Tuple[int, int], spatial_scale: float, sampling_ratio: int, aligned: bool) -> Grid:
    """Divides boxes into bins.

    Args:
        rois (Tensor): Index of the image, left, top, right, bottom; shape (k, 5).
        bins (tuple[int, int]): Bins along y and x.
        spatial_scale (float): Size of the feature map divided by that of the image.
        sampling_ratio (int): Samples in a bin along each axis; 0: as many as the bin has pixels, rounded up.
        aligned (bool): Whether to shift by half a pixel; otherwise boxes have at least one pixel, as in older versions.
    """
    rois = rois.to(computed_in(rois))
    corners = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    start, size = corners[:, [1, 0]], corners[:, [3, 2]] - corners[:, [1, 0]]
    if not aligned:
        size = size.clamp(min=1)
    bin_size = size / size.new_tensor(bins)
    samples = torch.full_like(size, sampling_ratio) if sampling_ratio > 0 else bin_size.ceil().clamp(min=0)
    return Grid(rois[:, 0].int(), start, bin_size, samples.int())
