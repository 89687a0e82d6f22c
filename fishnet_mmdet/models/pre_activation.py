"""Norm, ReLU, convolution: the step that the whole fish repeats, in as few passes over memory as PyTorch allows.

Called one after another, the modules keep BN's input and ReLU's output for the backward pass and write new memory at every
step, which takes longer than the arithmetic. Where BN is fixed the backward pass needs ReLU's output only, and what lies
between two convolutions can be computed in the memory that the first one wrote.
"""

from typing import Sequence, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from .recording import is_recorded

#: Normalisation layers and the convolutions after them.
Steps = Sequence[Tuple[nn.Module, nn.Conv2d]]


def norm_relu_conv(steps: Steps, x: Tensor, add_input: bool = False) -> Tensor:
    """Normalisation, ReLU and convolution, as often as there are ``steps``.

    Args:
        steps (Sequence[tuple[nn.Module, nn.Conv2d]]): Normalisation layers of any kind, and convolutions.
        x (Tensor): (n, c, h, w).
        add_input (bool): Whether to add ``x`` to the last convolution's output.
    """
    modules = [module for step in steps for module in step]
    # Who watches a module wants it to be called.
    if is_recorded() or any(map(is_watched, modules)):
        return _by_modules(steps, x, add_input)
    if not all(map(_is_fixed, modules[::2])) or any(type(conv) is not nn.Conv2d for conv in modules[1::2]):
        return _by_modules(steps, x, add_input)
    parameters = [parameter for conv in modules[1::2] for parameter in (conv.weight, conv.bias)]
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, *parameters)):
        return _FixedNormReLUConv.apply(x, steps, add_input, *parameters)
    return _fixed_norm_relu_conv(x, steps, add_input, parameters)[0]


def norm_relu(norm: nn.Module, x: Tensor) -> Tensor:
    """ReLU of a normalisation layer's output.

    Args:
        norm (nn.Module): The layer, of any kind.
        x (Tensor): (n, c, h, w).
    """
    return F.relu(norm(x), inplace=not is_watched(norm))


def is_watched(module: nn.Module) -> bool:
    """Whether hooks of a module may see, and hold, what goes in or comes out."""
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks)


def _by_modules(steps: Steps, x: Tensor, add_input: bool) -> Tensor:
    out = x
    for norm, conv in steps:
        out = conv(norm_relu(norm, out))
    return out + x if add_input else out


def _is_fixed(norm: nn.Module) -> bool:
    return (
        isinstance(norm, _BatchNorm)
        and not norm.training
        and norm.track_running_stats
        and norm.affine
        and not (torch.is_grad_enabled() and (norm.weight.requires_grad or norm.bias.requires_grad))
    )


def _fixed_norm_relu_conv(x: Tensor, steps: Steps, add_input: bool, parameters: Sequence[Tensor]):
    """The output, and for each step the convolution's input and weight and BN's scale."""
    dtype = _autocast_dtype(x)
    kept = []
    out = x
    for (norm, conv), weight, bias in zip(steps, parameters[::2], parameters[1::2]):
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        if out.dtype == dtype == scale.dtype:
            shift = norm.bias - norm.running_mean * scale
            # Only the first input is somebody else's.
            y = torch.empty_like(x) if out is x else out
            torch.addcmul(_per_channel(shift), out, _per_channel(scale), out=y).relu_()
        else:
            # Of a type and another, addcmul would copy all to the larger one.
            y = F.batch_norm(out, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps).relu_().to(dtype)
        weight, bias = weight.to(dtype), bias if bias is None else bias.to(dtype)
        out = F.conv2d(y, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
        kept += (y, weight, scale)
    if add_input:
        out = out.add_(x) if out.dtype == x.dtype else out + x
    return out, kept


def _norm_relu_backward(grad: Tensor, y: Tensor, scale: Tensor) -> Tensor:
    """The gradient of what went in, from that of what came out, y, which is nobody else's and is written over."""
    grad = torch.ops.aten.threshold_backward.grad_input(grad, y, 0, grad_input=grad)
    if grad.dtype == scale.dtype:
        return grad.mul_(_per_channel(scale))
    # BN's own, of mean 0 and variance 1: a product of a type and another would copy all to the larger one.
    zeros, ones = torch.zeros_like(scale), torch.ones_like(scale)
    mask = [True, False, False]
    return torch.ops.aten.native_batch_norm_backward(grad, y, scale, zeros, ones, None, None, False, 0.0, mask)[0]


def _per_channel(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1)


def _autocast_dtype(x: Tensor) -> torch.dtype:
    kind = x.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return x.dtype


class _FixedNormReLUConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, steps: Steps, add_input: bool, *parameters: Tensor) -> Tensor:
        out, kept = _fixed_norm_relu_conv(x, steps, add_input, parameters)
        ctx.save_for_backward(*kept)
        ctx.convs = [conv for _, conv in steps]
        ctx.add_input = add_input
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        kept = ctx.saved_tensors
        if kept[0].is_contiguous(memory_format=torch.channels_last):
            grad = grad.contiguous(memory_format=torch.channels_last)
        x_needed, _, _, *needed = ctx.needs_input_grad
        gradients = [None] * len(needed)
        out = grad
        for i in reversed(range(len(ctx.convs))):
            conv, (y, weight, scale) = ctx.convs[i], kept[3 * i : 3 * i + 3]
            mask = (i > 0 or x_needed, *needed[2 * i : 2 * i + 2])
            out, *gradients[2 * i : 2 * i + 2] = torch.ops.aten.convolution_backward(
                out,
                y,
                weight,
                [weight.shape[0]],
                conv.stride,
                conv.padding,
                conv.dilation,
                False,
                [0, 0],
                conv.groups,
                mask,
            )
            if out is not None:
                out = _norm_relu_backward(out, y, scale)
        if ctx.add_input and x_needed:
            out = out.add_(grad)
        return out, None, None, *gradients
