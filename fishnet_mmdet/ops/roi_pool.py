"""RoI pooling (Fast R-CNN, section 2.1): every bin of a box is the maximum of its pixels."""

from typing import Tuple

import torch
from torch import Tensor

from .layout import computed_in, to_rows
from .padding import parts


def _bins(start: Tensor, length: Tensor, bins: int, size: int) -> Tuple[Tensor, Tensor]:
    """First and last + 1 pixel of all bins of all boxes along an axis, each (k, bins); the arithmetic is mmcv's."""
    number = torch.arange(bins, device=start.device)
    bin_size = (length / bins)[:, None]
    low, high = number * bin_size + start[:, None], (number + 1) * bin_size + start[:, None]
    return low.floor().clamp(0, size).long(), high.ceil().clamp(0, size).long()


def forward(
    input: Tensor, rois: Tensor, output: Tensor, argmax: Tensor, pooled_height: int, pooled_width: int, spatial_scale: float
) -> None:
    """mmcv's ``roi_pool_forward``: writes the maxima, and their pixels y * w + x; 0 and -1 for an empty bin."""
    output.zero_()
    argmax.fill_(-1)
    if not output.numel():
        return
    (height, width), rows, rois = input.shape[2:], to_rows(input), rois.to(computed_in(rois))
    start, end = rois[:, 1:3] * spatial_scale, (rois[:, 3:] + 1) * spatial_scale
    left, right = _bins(start[:, 0], end[:, 0] - start[:, 0], pooled_width, width)
    top, bottom = _bins(start[:, 1], end[:, 1] - start[:, 1], pooled_height, height)
    sizes = torch.stack(((bottom - top).amax(1), (right - left).amax(1)), 1)
    # The bins of a box without a size stay empty.
    sizes = sizes * (end > start).all(1, keepdim=True)
    for boxes, (high, wide) in parts(sizes, output[0].numel()):
        y = top[boxes, :, None] + torch.arange(high, device=rois.device)
        x = left[boxes, :, None] + torch.arange(wide, device=rois.device)
        inside_y, inside_x = y < bottom[boxes, :, None], x < right[boxes, :, None]
        pixel = y.clamp(max=height - 1)[:, :, None, :, None] * width + x.clamp(max=width - 1)[:, None, :, None]
        inside = (inside_y[:, :, None, :, None] & inside_x[:, None, :, None]).flatten(3)[..., None]
        pixel = pixel.flatten(3)
        image = rois[boxes, 0].long() * (height * width)
        values = rows[image[:, None, None, None] + pixel].masked_fill_(~inside, float('-inf'))
        best, where = values.max(3)
        found = inside.any(3)
        output[boxes] = torch.where(found, best, 0).permute(0, 3, 1, 2).to(output.dtype)
        argmax[boxes] = torch.where(found, pixel.gather(3, where), -1).permute(0, 3, 1, 2).to(argmax.dtype)


def backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """mmcv's ``roi_pool_backward``: every maximum's gradient goes to its pixel."""
    _, channels, height, width = grad_input.shape
    maps = rois[:, 0].long()[:, None] * channels + torch.arange(channels, device=rois.device)
    pixel = maps[:, :, None, None] * (height * width) + argmax.clamp(min=0)
    grad = grad_output.to(computed_in(grad_output)) * (argmax >= 0)
    total = grad.new_zeros(grad_input.numel()).index_add_(0, pixel.flatten(), grad.flatten())
    grad_input.copy_(total.view_as(grad_input))
