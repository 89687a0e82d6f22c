"""From the layout that the fish computes in to the one that is safe to put out."""

import torch
from torch import Tensor

from .recording import is_recorded

#: Rows that are copied at once on the CPU: few enough for its cache to hold what it reads again for the next channel.
ROWS = 2


def to_contiguous(x: Tensor) -> Tensor:
    """The same values in PyTorch's default layout.

    Args:
        x (Tensor): (n, c, h, w) in any layout, channels-last above all.
    """
    if is_recorded() or x.device.type != 'cpu' or x.is_contiguous():
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
