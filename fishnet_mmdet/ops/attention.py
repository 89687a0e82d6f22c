"""Multi-scale deformable attention (Deformable DETR, section 4.1, equation 3).

mmcv calls it on GPUs only; on the CPU its module uses PyTorch by itself.
"""

import torch
from torch import Tensor

from .bags import bag_sum, equal_bags
from .layout import computed_in
from .sampling import neighbours, pairs


def attend(value: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor, attention: Tensor) -> Tensor:
    """Sums of bilinear samples, weighted by the attention.

    Args:
        value (Tensor): Shape (n, keys, heads, channels).
        shapes (Tensor): Height and width of every level, shape (levels, 2).
        starts (Tensor): First key of every level, shape (levels,).
        locations (Tensor): x and y in 0 ... 1, shape (n, queries, heads, levels, points, 2).
        attention (Tensor): Shape (n, queries, heads, levels, points).

    Returns:
        Tensor: Shape (n, queries, heads * channels), float32 or float64, differentiable.
    """
    n, keys, heads, channels = value.shape
    queries = locations.shape[1]
    dtype = computed_in(value)
    locations, attention = locations.to(dtype), attention.to(dtype)
    options = dict(device=value.device, dtype=torch.int32)
    image = torch.arange(n, **options)[:, None, None, None] * (keys * heads)
    head = torch.arange(heads, **options)[:, None]
    index, weight = [], []
    for level, ((height, width), start) in enumerate(zip(shapes.tolist(), starts.tolist())):
        x, y = (locations[:, :, :, level] * locations.new_tensor((width, height)) - 0.5).unbind(-1)
        first = (image + head + start * heads).expand_as(x).reshape(-1)
        axes = neighbours(y.reshape(-1), height), neighbours(x.reshape(-1), width)
        reads, interpolation = pairs(*axes, first, width * heads, heads)
        index.append(reads.view(n * queries * heads, -1))
        weight.append((interpolation * attention[:, :, :, level].reshape(-1, 1)).view(n * queries * heads, -1))
    rows = value.to(dtype).reshape(-1, channels)
    return bag_sum(rows, equal_bags(torch.cat(index, 1), torch.cat(weight, 1))).view(n, queries, heads * channels)


def forward(
    value: Tensor, value_spatial_shapes: Tensor, level_start: Tensor, locations: Tensor, attention: Tensor, im2col_step: int
) -> Tensor:
    """mmcv's ``ms_deform_attn_forward``, shape (n, queries, heads * channels)."""
    return attend(value, value_spatial_shapes, level_start, locations, attention).to(value.dtype)


def backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    level_start: Tensor,
    locations: Tensor,
    attention: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_locations: Tensor,
    grad_attention: Tensor,
    im2col_step: int,
) -> None:
    """mmcv's ``ms_deform_attn_backward``: writes the three gradients."""
    with torch.enable_grad():
        inputs = [tensor.detach().requires_grad_() for tensor in (value, locations, attention)]
        output = attend(inputs[0], value_spatial_shapes, level_start, *inputs[1:])
    grads = torch.autograd.grad(output, inputs, grad_output.view_as(output).to(output.dtype))
    for target, grad in zip((grad_value, grad_locations, grad_attention), grads):
        target.copy_(grad)
