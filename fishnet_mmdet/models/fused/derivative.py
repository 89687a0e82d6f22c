"""First derivatives only: a second derivative raises a message that says what to do."""

import functools
from typing import Callable, Optional, Tuple

import torch
from torch import Tensor

from ...errors import FishNetError


def once_differentiable(backward: Callable) -> Callable:
    """Makes a ``backward`` that autograd does not differentiate, and that says so if it is asked to.

    PyTorch's decorator of the same name does not name the remedy. It also lets gradients pass as constants where the
    incoming gradient is one, so that a gradient penalty would lose its term without a message.
    """

    @functools.wraps(backward)
    def wrapper(ctx, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        with torch.no_grad():
            gradients = backward(ctx, grad)
        # Autograd enables this in a backward pass with create_graph=True alone.
        if not torch.is_grad_enabled():
            return gradients
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        anchor = torch.empty(0, requires_grad=True)
        return tuple(g if g is None else _SecondDerivative.apply(g, anchor) for g in gradients)

    return wrapper


class _SecondDerivative(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gradient: Tensor, anchor: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx, *_):
        raise FishNetError('FishNet with fused=True has no second derivatives: build it with fused=False')
