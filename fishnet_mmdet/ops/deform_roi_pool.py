"""Deformable RoI pooling (Dai et al. 2017, section 2.2): RoIAlign whose bins are moved by offsets."""

from typing import Tuple

import torch
from torch import Tensor

from .bags import bag_sum
from .layout import to_rows, write_rows
from .roi_grid import make_grid
from .sampling import averaged, averaged_densely, outer


def pool(
    input: Tensor, rois: Tensor, offset: Tensor, bins: Tuple[int, int], spatial_scale: float, sampling_ratio: int, gamma: float
) -> Tensor:
    """The means of the samples of all bins.

    Args:
        input (Tensor): Feature maps, shape (n, c, h, w).
        rois (Tensor): Index of the image, left, top, right, bottom; shape (k, 5).
        offset (Tensor): x and y of every bin in sizes of the box, shape (k, 2, bins of y, bins of x); or empty.
        bins (tuple[int, int]): Bins along y and x.
        spatial_scale (float): Size of the feature map divided by that of the image.
        sampling_ratio (int): Samples in a bin along each axis; 0: as many as the bin has pixels, rounded up.
        gamma (float): Factor of the offsets.

    Returns:
        Tensor: Shape (k * bins of y * bins of x, c), float32 or float64, differentiable.
    """
    (height, width), rows = input.shape[2:], to_rows(input)
    grid = make_grid(rois.to(rows.dtype), bins, spatial_scale, sampling_ratio, aligned=True)
    shape = (len(rois), *bins)
    axes = []
    for axis, size in ((0, height), (1, width)):
        samples = grid.samples[:, axis, None, None].expand(shape).flatten()
        coordinates = grid.coordinates(axis, bins[axis], int(samples.max()))
        coordinates = coordinates.unsqueeze(2 - axis).expand(*shape, -1)
        if offset.numel():
            box_size = (grid.bin_size[:, axis] * bins[axis])[:, None, None]
            coordinates = coordinates + (gamma * box_size * offset[:, 1 - axis].to(rows.dtype))[..., None]
        coordinates = coordinates.flatten(0, 2)
        mean = averaged(coordinates, size) if sampling_ratio > 0 else averaged_densely(coordinates, samples, size)
        axes.append(mean)
    first = (grid.image * (height * width)).repeat_interleave(bins[0] * bins[1])
    return bag_sum(rows, outer(*axes, first, width))


def forward(
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    output: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """mmcv's ``deform_roi_pool_forward``: writes ``output``."""
    if output.numel():
        write_rows(pool(input, rois, offset, (pooled_height, pooled_width), spatial_scale, sampling_ratio, gamma), output)


def backward(
    grad_output: Tensor,
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """mmcv's ``deform_roi_pool_backward``: writes ``grad_input`` and ``grad_offset``."""
    if not grad_output.numel():
        return
    targets = [grad_input, grad_offset] if offset.numel() else [grad_input]
    with torch.enable_grad():
        input, offset = (tensor.detach().requires_grad_() for tensor in (input, offset))
        sums = pool(input, rois, offset, (pooled_height, pooled_width), spatial_scale, sampling_ratio, gamma)
    grads = torch.autograd.grad(sums, [input, offset][: len(targets)], to_rows(grad_output))
    for target, grad in zip(targets, grads):
        target.copy_(grad)
