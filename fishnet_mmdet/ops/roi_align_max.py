"""RoIAlign with the maximum of the samples of every bin."""

import torch
from torch import Tensor

from .bags import bag_sum, equal_bags
from .layout import computed_in, to_rows
from .padding import parts
from .roi_grid import Grid
from .sampling import clamped_neighbours, pairs

#: What mmcv's maximum begins with, and what it gives for a bin without samples.
LOWEST = -10000.0


def forward(input: Tensor, grid: Grid, output: Tensor, argmax_y: Tensor, argmax_x: Tensor) -> None:
    """Writes the maxima and the coordinates of their samples; -10000 and -1 for a bin without samples."""
    rows, (height, width), bins = to_rows(input), input.shape[2:], output.shape[2:]
    output.fill_(LOWEST)
    argmax_y.fill_(-1)
    argmax_x.fill_(-1)
    for boxes, samples in parts(grid.samples, output[0].numel()):
        part = Grid(*(field[boxes] for field in grid))
        shape = (len(boxes), *bins, samples[0], samples[1])
        y = part.coordinates(0, bins[0], samples[0])[:, :, None, :, None].expand(shape)
        x = part.coordinates(1, bins[1], samples[1])[:, None, :, None].expand(shape)
        first = (part.image * (height * width))[:, None, None, None, None].expand(shape)
        reads = pairs(clamped_neighbours(y.flatten(), height), clamped_neighbours(x.flatten(), width), first.flatten(), width)
        best, where = bag_sum(rows, equal_bags(*reads)).view(*shape[:3], samples[0] * samples[1], -1).max(3)
        results = (output, best), (argmax_y, y.flatten(3).gather(3, where)), (argmax_x, x.flatten(3).gather(3, where))
        for target, values in results:
            target[boxes] = values.permute(0, 3, 1, 2).to(target.dtype)


def backward(grad_output: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, grad_input: Tensor) -> None:
    """Adds the gradient of every maximum to the four pixels around its sample."""
    _, channels, height, width = grad_input.shape
    dtype = computed_in(grad_output)
    y = clamped_neighbours(argmax_y.to(dtype).flatten(), height)
    x = clamped_neighbours(argmax_x.to(dtype).flatten(), width)
    map_index = rois[:, 0].long()[:, None] * channels + torch.arange(channels, device=rois.device)
    first = (map_index * (height * width))[:, :, None, None].expand_as(grad_output).flatten()
    index, weight = pairs(y, x, first, width)
    weight = weight * (grad_output.to(dtype) * (argmax_y != -1)).flatten()[:, None]
    total = weight.new_zeros(grad_input.numel()).index_add_(0, index.flatten(), weight.flatten())
    grad_input.copy_(total.view_as(grad_input))
