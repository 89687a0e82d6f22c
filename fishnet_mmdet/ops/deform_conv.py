"""Deformable convolution, version 1 (Dai et al. 2017) and 2 (Zhu et al. 2019): samples, then a matrix product.

Version 1 is version 2 without a mask and a bias. mmcv's names for the arguments differ between the two.
"""

from typing import NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from .bags import bag_sum, equal_bags
from .layout import computed_in, to_rows, write_rows
from .sampling import neighbours, pairs


class Geometry(NamedTuple):
    """Where a deformable convolution reads; pairs are along y and x.

    Attributes:
        kernel (tuple[int, int]): Size of the kernel.
        stride (tuple[int, int]): Distance of the outputs.
        padding (tuple[int, int]): Zeros around the input.
        dilation (tuple[int, int]): Distance of the taps.
        deform_groups (int): Groups of channels with their own offsets.
    """

    kernel: Tuple[int, int]
    stride: Tuple[int, int]
    padding: Tuple[int, int]
    dilation: Tuple[int, int]
    deform_groups: int


def sample_taps(input: Tensor, offset: Tensor, mask: Optional[Tensor], geometry: Geometry) -> Tensor:
    """The input at the deformed positions of all taps of a kernel.

    Args:
        input (Tensor): Shape (n, c, h, w).
        offset (Tensor): y and x of every tap, shape (n, deform_groups * taps * 2, height, width).
        mask (Tensor, optional): A factor for every tap, shape (n, deform_groups * taps, height, width).
        geometry (Geometry): Where the taps are without their offsets.

    Returns:
        Tensor: Shape (n * height * width, taps, c), float32 or float64, differentiable.
    """
    (n, c, h, w), (height, width) = input.shape, offset.shape[2:]
    kernel, stride, padding, dilation, groups = geometry
    taps = kernel[0] * kernel[1]
    offset = offset.to(computed_in(offset)).view(n, groups, taps, 2, height, width).permute(3, 0, 4, 5, 2, 1)
    options = dict(device=offset.device, dtype=offset.dtype)
    out_y, out_x = (torch.arange(size, **options) * s - p for size, s, p in zip((height, width), stride, padding))
    tap_y, tap_x = (torch.arange(size, **options) * d for size, d in zip(kernel, dilation))
    y = offset[0] + (out_y[:, None] + tap_y.repeat_interleave(kernel[1]))[:, None, :, None]
    x = offset[1] + (out_x[:, None] + tap_x.repeat(kernel[0]))[:, :, None]
    # A row of the table holds the channels of one group.
    rows = to_rows(input).view(n * h * w * groups, c // groups)
    image = torch.arange(n, device=rows.device, dtype=torch.int32) * (h * w * groups)
    first = image[:, None, None, None, None] + torch.arange(groups, device=rows.device, dtype=torch.int32)
    axes = neighbours(y.reshape(-1), h), neighbours(x.reshape(-1), w)
    index, weight = pairs(*axes, first.expand_as(y).reshape(-1), w * groups, groups)
    if mask is not None:
        factor = mask.to(weight.dtype).view(n, groups, taps, height, width).permute(0, 3, 4, 2, 1)
        weight = weight * factor.reshape(-1, 1)
    return bag_sum(rows, equal_bags(index, weight)).view(n * height * width, taps, c)


class Product:
    """The matrix product of a convolution, and its gradients.

    Args:
        weight (Tensor): Shape (out, c / groups, height, width).
        groups (int): Groups of the convolution.
    """

    def __init__(self, weight: Tensor, groups: int):
        # The CPU multiplies matrices of float16 slowly, and before torch 2.1 not at all.
        self.dtype = torch.float32 if weight.device.type == 'cpu' and weight.dtype == torch.half else weight.dtype
        self.shape, self.groups = weight.shape, groups
        self.weight = weight.to(self.dtype).reshape(groups, weight.shape[0] // groups, weight.shape[1], -1)

    def _by_group(self, rows):
        """Rows in the dtype of the product, their last dimension divided into groups."""
        return rows.to(self.dtype).reshape(*rows.shape[:-1], self.groups, -1)

    def output(self, taps: Tensor) -> Tensor:
        """The output (rows, out) from the taps (rows, taps, c)."""
        return torch.einsum('rtgi,goit->rgo', self._by_group(taps), self.weight).flatten(1)

    def grad_taps(self, grad: Tensor) -> Tensor:
        """The gradient of the taps from that of the output."""
        return torch.einsum('rgo,goit->rtgi', self._by_group(grad), self.weight).flatten(2)

    def grad_weight(self, grad: Tensor, taps: Tensor) -> Tensor:
        """The gradient of the weight from that of the output."""
        return torch.einsum('rgo,rtgi->goit', self._by_group(grad), self._by_group(taps)).reshape(self.shape)


def _geometry(kH, kW, dH, dW, padH, padW, dilationH, dilationW, deformable_group, im2col_step):
    """The geometry from mmcv's arguments of version 1."""
    return Geometry((kH, kW), (dH, dW), (padH, padW), (dilationH, dilationW), deformable_group)


def forward(input, weight, offset, output, columns, ones, *, group, **geometry) -> None:
    """mmcv's ``deform_conv_forward``: writes ``output``."""
    if output.numel():
        taps = sample_taps(input, offset, None, _geometry(**geometry))
        write_rows(Product(weight, group).output(taps), output)


def backward_input(input, offset, grad_output, grad_input, grad_offset, weight, columns, *, group, **geometry) -> None:
    """mmcv's ``deform_conv_backward_input``: writes ``grad_input`` and ``grad_offset``."""
    if not grad_output.numel():
        return
    grad_taps = Product(weight, group).grad_taps(to_rows(grad_output))
    with torch.enable_grad():
        inputs = [tensor.detach().requires_grad_() for tensor in (input, offset)]
        taps = sample_taps(*inputs, None, _geometry(**geometry))
    for target, grad in zip((grad_input, grad_offset), torch.autograd.grad(taps, inputs, grad_taps.to(taps.dtype))):
        target.copy_(grad)


def backward_parameters(input, offset, grad_output, grad_weight, columns, ones, *, group, scale, **geometry) -> None:
    """mmcv's ``deform_conv_backward_parameters``: writes ``grad_weight``."""
    if grad_output.numel():
        taps = sample_taps(input, offset, None, _geometry(**geometry))
        grad_weight.copy_(Product(grad_weight, group).grad_weight(to_rows(grad_output), taps) * scale)


def _modulated_geometry(kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, deformable_group):
    """The geometry from mmcv's arguments of version 2."""
    pairs_of = (kernel_h, kernel_w), (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w)
    return Geometry(*pairs_of, deformable_group)


def _as_read(field: Tensor, output: Tensor) -> Tensor:
    """Offsets or masks as mmcv's compiled version 2 reads them: the memory of each image, with the output's height and width.

    DyHead passes fields of one level with the map of another, which is smaller, and its weights have learned so.
    """
    if field.shape[2:] == output.shape[2:]:
        return field
    shape = field.shape[1], *output.shape[2:]
    return field.flatten(1)[:, : shape[0] * shape[1] * shape[2]].unflatten(1, shape)


def modulated_forward(input, weight, bias, ones, offset, mask, output, columns, *, group, with_bias, **geometry) -> None:
    """mmcv's ``modulated_deform_conv_forward``: writes ``output``."""
    if not output.numel():
        return
    offset, mask = (_as_read(field, output) for field in (offset, mask))
    result = Product(weight, group).output(sample_taps(input, offset, mask, _modulated_geometry(**geometry)))
    write_rows(result + bias if with_bias else result, output)


def modulated_backward(
    input,
    weight,
    bias,
    ones,
    offset,
    mask,
    columns,
    grad_input,
    grad_weight,
    grad_bias,
    grad_offset,
    grad_mask,
    grad_output,
    *,
    group,
    with_bias,
    **geometry,
) -> None:
    """mmcv's ``modulated_deform_conv_backward``: writes all gradients."""
    if not grad_output.numel():
        return
    product, grad = Product(weight, group), to_rows(grad_output)
    with torch.enable_grad():
        inputs = [tensor.detach().requires_grad_() for tensor in (input, offset, mask)]
        maps, *fields = inputs
        fields = [_as_read(field, grad_output) for field in fields]
        taps = sample_taps(maps, *fields, _modulated_geometry(**geometry))
    grads = torch.autograd.grad(taps, inputs, product.grad_taps(grad).to(taps.dtype))
    for target, value in zip((grad_input, grad_offset, grad_mask), grads):
        target.copy_(value)
    grad_weight.copy_(product.grad_weight(grad, taps.detach()))
    if with_bias:
        grad_bias.copy_(grad.sum(0))
