"""Max-pooling that saves one byte for each output value."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .conditions import must_run_plain
from .derivative import once_differentiable


class MaxPool2x2(nn.MaxPool2d):
    """Max-pooling 2x2 with a stride of 2. An odd size is rounded up, so that no row or column is lost.

    PyTorch's own saves its input, and a 64-bit index into it for each output value. The position among the four values of a
    window is enough.
    """

    def __init__(self) -> None:
        super().__init__(2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, c, ceil(h / 2), ceil(w / 2))."""
        if must_run_plain(x) or not (x.requires_grad and torch.is_grad_enabled()):
            return super().forward(x)
        return _MaxPool2x2.apply(x)


class _MaxPool2x2(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.size = h, w = x.shape[-2:]
        if h % 2 or w % 2:
            x = F.pad(x, (0, w % 2, 0, h % 2), value=-torch.inf)
        ctx.like_x = torch.empty_like(x, device='meta')
        top_left, top_right, bottom_left, bottom_right = _corners(x)
        top, bottom = torch.maximum(top_left, top_right), torch.maximum(bottom_left, bottom_right)
        # As in PyTorch's own, the first of equal values gets the gradient.
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
