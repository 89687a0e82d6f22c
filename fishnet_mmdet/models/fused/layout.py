"""The memory layout that the network computes in, and the one that it returns."""

import torch
from torch import Tensor

from ...ops import installed
from .conditions import is_tracing, is_transformed, must_run_plain

#: Rows that the CPU copies at once: few enough that its cache still holds them for the next channel.
ROWS = 2


def to_channels_last(x: Tensor) -> Tensor:
    """The same values in channels-last layout. The convolutions keep the layout of their input.

    Args:
        x (Tensor): (n, c, h, w) in any layout.
    """
    # torch.func.vmap has no channels-last layout.
    if not is_tracing(x) and is_transformed():
        return x
    return x.contiguous(memory_format=torch.channels_last)


def as_returned(x: Tensor) -> Tensor:
    """A feature in the layout in which the network returns it, which a neck keeps.

    Our operators read both layouts, and channels-last faster. mmcv's compiled ones, such as RoIAlign and deformable
    convolution, read channels-last tensors as if they were contiguous, without an error.

    Args:
        x (Tensor): (n, c, h, w) in any layout.

    Returns:
        Tensor: The same values: as they are where our operators are in effect, else contiguous.
    """
    return x if installed() else to_contiguous(x)


def to_contiguous(x: Tensor) -> Tensor:
    """The same values in PyTorch's default layout.

    Args:
        x (Tensor): (n, c, h, w) in any layout.
    """
    if must_run_plain(x) or x.device.type != 'cpu' or x.is_contiguous():
        return x.contiguous()
    return _ToContiguous.apply(x)


class _ToContiguous(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
        for rows, x_rows in zip(out.split(ROWS, dim=2), x.split(ROWS, dim=2)):
            rows.copy_(x_rows)
        return out

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad.contiguous(memory_format=torch.channels_last)
