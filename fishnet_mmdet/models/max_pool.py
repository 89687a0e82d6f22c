"""Max-pooling that keeps a byte of each output for the backward pass."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .recording import is_recorded


class MaxPool2x2(nn.MaxPool2d):
    """Max-pooling 2x2 with a stride of 2; an odd size is rounded up, so that no row or column is lost.

    PyTorch's own keeps its input, and a 64-bit index into it for each output. Which of the four values it was is enough.
    """

    def __init__(self) -> None:
        super().__init__(2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, c, ceil(h / 2), ceil(w / 2))."""
        if x.requires_grad and torch.is_grad_enabled() and not is_recorded():
            return _MaxPool2x2.apply(x)
        return super().forward(x)


class _MaxPool2x2(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.size = h, w = x.shape[-2:]
        if h % 2 or w % 2:
            x = F.pad(x, (0, w % 2, 0, h % 2), value=-torch.inf)
        ctx.like_x = torch.empty_like(x, device='meta')
        top_left, top_right, bottom_left, bottom_right = _corners(x)
        top, bottom = torch.maximum(top_left, top_right), torch.maximum(bottom_left, bottom_right)
        # As PyTorch's own, the first of equal values has the gradient.
        right = torch.where(bottom > top, bottom_right > bottom_left, top_right > top_left)
        place = (bottom > top).to(torch.uint8).mul_(2).add_(right)
        ctx.save_for_backward(place)
        return torch.maximum(top, bottom, out=top)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> Tensor:
        (place,) = ctx.saved_tensors
        out = torch.empty_like(ctx.like_x, dtype=grad.dtype, device=grad.device)
        for i, corner in enumerate(_corners(out)):
            torch.mul(grad, place == i, out=corner)
        h, w = ctx.size
        return out[..., :h, :w]


def _corners(x: Tensor):
    """The four values of each window, as tensors."""
    return [x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
