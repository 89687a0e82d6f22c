"""Norm, ReLU, convolution, in as few passes over memory as PyTorch allows.

With frozen BN the backward pass needs only ReLU's output. Norm and ReLU between two convolutions can be computed in the
memory that the first convolution wrote.
"""

from typing import Sequence, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from .conditions import has_hooks, must_run_plain
from .derivative import once_differentiable

#: Normalisation layers and the convolutions after them.
Steps = Sequence[Tuple[nn.Module, nn.Conv2d]]


def norm_relu_conv(steps: Steps, x: Tensor, fused: bool = True, add_input: bool = False) -> Tensor:
    """Normalisation, ReLU and convolution, once for each of the ``steps``.

    Args:
        steps (Sequence[tuple[nn.Module, nn.Conv2d]]): Normalisation layers of any kind, and convolutions.
        x (Tensor): (n, c, h, w).
        fused (bool): Whether the fast path may run.
        add_input (bool): Whether to add ``x`` to the output of the last convolution.
    """
    modules = [module for step in steps for module in step]
    if (
        not fused
        or must_run_plain(x, modules)
        or not all(_is_frozen(norm) and type(conv) is nn.Conv2d for norm, conv in steps)
    ):
        return _by_modules(steps, x, add_input)
    parameters = [parameter for conv in modules[1::2] for parameter in (conv.weight, conv.bias)]
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, *parameters)):
        return _FrozenNormReLUConv.apply(x, steps, add_input, *parameters)
    return _frozen_norm_relu_conv(x, steps, add_input, parameters)[0]


def norm_relu(norm: nn.Module, x: Tensor) -> Tensor:
    """ReLU of a normalisation layer's output.

    Args:
        norm (nn.Module): The layer, of any kind.
        x (Tensor): (n, c, h, w).
    """
    return F.relu(norm(x), inplace=not has_hooks(norm))


def _by_modules(steps: Steps, x: Tensor, add_input: bool) -> Tensor:
    out = x
    for norm, conv in steps:
        out = conv(norm_relu(norm, out))
    return out + x if add_input else out


def _is_frozen(norm: nn.Module) -> bool:
    return (
        isinstance(norm, _BatchNorm)
        and not norm.training
        and norm.track_running_stats
        and norm.affine
        and not (torch.is_grad_enabled() and (norm.weight.requires_grad or norm.bias.requires_grad))
    )


def _frozen_norm_relu_conv(x: Tensor, steps: Steps, add_input: bool, parameters: Sequence[Tensor]):
    """The output, and for each step the input of the convolution, its weight, and the scale of BN."""
    dtype = _autocast_dtype(x)
    kept = []
    out = x
    for (norm, conv), weight, bias in zip(steps, parameters[::2], parameters[1::2]):
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        if out.dtype == dtype == scale.dtype:
            shift = norm.bias - norm.running_mean * scale
            # The caller owns the first input, so it must not be overwritten.
            y = torch.empty_like(x) if out is x else out
            torch.addcmul(_per_channel(shift), out, _per_channel(scale), out=y).relu_()
        else:
            # With mixed dtypes, addcmul would first convert every input to the wider one.
            y = F.batch_norm(out, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps).relu_().to(dtype)
        # The parameter, not its copy in half precision: the backward pass makes that again, and a fifth less is saved.
        kept += (y, weight, scale)
        weight, bias = weight.to(dtype), bias if bias is None else bias.to(dtype)
        out = F.conv2d(y, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
    if add_input:
        out = out.add_(x) if out.dtype == x.dtype else out + x
    return out, kept


def _norm_relu_backward(grad: Tensor, y: Tensor, scale: Tensor) -> Tensor:
    """The gradient of the norm's input from ``grad``, the gradient of ReLU's output ``y``. Overwrites ``grad``."""
    grad = torch.ops.aten.threshold_backward.grad_input(grad, y, 0, grad_input=grad)
    if grad.dtype == scale.dtype:
        return grad.mul_(_per_channel(scale))
    # With mixed dtypes, a product would first convert grad to the wider one. BN's own backward, here of mean 0 and variance
    # 1, does not.
    zeros, ones = torch.zeros_like(scale), torch.ones_like(scale)
    mask = [True, False, False]
    return torch.ops.aten.native_batch_norm_backward(grad, y, scale, zeros, ones, None, None, False, 0.0, mask)[0]


def _per_channel(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1)


def _autocast_dtype(x: Tensor) -> torch.dtype:
    """The dtype in which autocast would compute a convolution of ``x``."""
    kind = x.device.type
    if not hasattr(torch, 'get_autocast_dtype'):  # torch before 2.4 has a pair of functions for each kind of device
        if kind == 'cpu':
            return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else x.dtype
        return torch.get_autocast_gpu_dtype() if kind == 'cuda' and torch.is_autocast_enabled() else x.dtype
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return x.dtype


class _FrozenNormReLUConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, steps: Steps, add_input: bool, *parameters: Tensor) -> Tensor:
        out, kept = _frozen_norm_relu_conv(x, steps, add_input, parameters)
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
            weight = weight.to(y.dtype)
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
