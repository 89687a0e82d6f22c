"""The parts of mmcv's synchronized BatchNorm (``MMSyncBN``) between which its processes exchange their statistics."""

from typing import Optional

import torch
from torch import Tensor


def forward_mean(input: Tensor, mean: Tensor) -> None:
    """mmcv's ``sync_bn_forward_mean``: writes the mean (c,) of (n, c, pixels)."""
    mean.copy_(input.float().mean((0, 2)))


def forward_var(input: Tensor, mean: Tensor, var: Tensor) -> None:
    """mmcv's ``sync_bn_forward_var``: writes the mean squared difference (c,) to a mean."""
    var.copy_((input.float() - mean[:, None]).square_().mean((0, 2)))


def forward_output(
    input: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Optional[Tensor],
    bias: Optional[Tensor],
    running_mean: Optional[Tensor],
    running_var: Optional[Tensor],
    norm: Tensor,
    std: Tensor,
    output: Tensor,
    eps: float,
    momentum: Tensor,
    group_size: int,
) -> None:
    """mmcv's ``sync_bn_forward_output``: writes ``output``, ``norm`` and ``std``, and updates the running statistics."""
    std.copy_((var + eps).sqrt())
    norm.copy_((input.float() - mean[:, None]) / std[:, None])
    output.copy_(norm if weight is None else norm * weight[:, None] + bias[:, None])
    if running_mean is not None:
        count = input.shape[0] * input.shape[2] * group_size
        unbiased = var * (count / (count - 1)) if count > 1 else var
        running_mean.lerp_(mean, torch.as_tensor(momentum).to(mean))
        running_var.lerp_(unbiased, torch.as_tensor(momentum).to(var))


def backward_param(grad_output: Tensor, norm: Tensor, grad_weight: Tensor, grad_bias: Tensor) -> None:
    """mmcv's ``sync_bn_backward_param``: writes the gradients (c,) of weight and bias."""
    grad_output = grad_output.float()
    grad_weight.copy_((grad_output * norm).sum((0, 2)))
    grad_bias.copy_(grad_output.sum((0, 2)))


def backward_data(
    grad_output: Tensor,
    weight: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    norm: Tensor,
    std: Tensor,
    grad_input: Tensor,
) -> None:
    """mmcv's ``sync_bn_backward_data``: writes ``grad_input``."""
    count = grad_output.shape[0] * grad_output.shape[2]
    mean_part = (grad_weight[:, None] * norm + grad_bias[:, None]) / count
    grad_input.copy_((weight / std)[:, None] * (grad_output.float() - mean_part))
