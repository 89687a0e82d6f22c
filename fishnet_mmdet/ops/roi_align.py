"""RoIAlign (Mask R-CNN, section 3): every bin of a box is the mean, or the maximum, of bilinear samples."""

from typing import Tuple

from torch import Tensor

from . import roi_align_max
from .bags import Bags, bag_sum, bag_sum_backward
from .layout import computed_in, is_channels_last, to_rows, write_rows
from .roi_grid import Grid, make_grid
from .sampling import averaged, averaged_densely, outer, over_bins
from .vision import torchvision_op

#: mmcv's number for the maximum; 1 is the mean.
MAX = 0


def mean_bags(grid: Grid, bins: Tuple[int, int], map_size: Tuple[int, int], sampling_ratio: int) -> Bags:
    """The bags whose sums are the means of the samples of all bins, in the order (box, y, x)."""
    axes = []
    for axis in (0, 1):
        if sampling_ratio > 0:
            axes.append(averaged(grid.coordinates(axis, bins[axis], sampling_ratio), map_size[axis]))
        else:
            samples = grid.samples[:, axis]
            coordinates = grid.coordinates(axis, bins[axis], int(samples.max()))
            axes.append(averaged_densely(coordinates, samples[:, None].expand(-1, bins[axis]), map_size[axis]))
    first = grid.image * (map_size[0] * map_size[1])
    return outer(*over_bins(*axes), first.repeat_interleave(bins[0] * bins[1]), map_size[1])


def forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """mmcv's ``roi_align_forward``: writes ``output``, and for the maximum the coordinates of the maxima."""
    if not output.numel():
        return
    bins, map_size = (aligned_height, aligned_width), tuple(input.shape[2:])
    op = torchvision_op('roi_align', input)
    if op is not None and pool_mode != MAX:
        dtype = computed_in(input)
        output.copy_(op(input.to(dtype), rois.to(dtype), spatial_scale, *bins, sampling_ratio, aligned))
        return
    grid = make_grid(rois, bins, spatial_scale, sampling_ratio, aligned)
    if pool_mode == MAX:
        roi_align_max.forward(input, grid, output, argmax_y, argmax_x)
    else:
        sums = bag_sum(to_rows(input), mean_bags(grid, bins, map_size, sampling_ratio))
        output.copy_(sums.view(len(rois), *bins, -1).permute(0, 3, 1, 2))
        if is_channels_last(input):
            # mmcv keeps this empty tensor for the backward pass, where nothing else tells the layout of the input.
            argmax_y.resize_(1)


def backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """mmcv's ``roi_align_backward``: writes ``grad_input``, which is zero before."""
    if not grad_output.numel():
        return
    if pool_mode == MAX:
        roi_align_max.backward(grad_output, rois, argmax_y, argmax_x, grad_input)
        return
    bins, (n, channels, height, width) = (aligned_height, aligned_width), grad_input.shape
    op = torchvision_op('_roi_align_backward', grad_output)
    if op is not None:
        grad, rois = (tensor.to(computed_in(tensor)) for tensor in (grad_output, rois))
        grad_input.copy_(op(grad, rois, spatial_scale, *bins, n, channels, height, width, sampling_ratio, aligned))
        return
    grid = make_grid(rois, bins, spatial_scale, sampling_ratio, aligned)
    bags = mean_bags(grid, bins, (height, width), sampling_ratio)
    if argmax_y.numel():
        # The input was channels-last: so is the gradient.
        grad_input.as_strided_(grad_input.shape, (height * width * channels, 1, width * channels, channels))
    write_rows(bag_sum_backward(to_rows(grad_output), bags, n * height * width), grad_input)
