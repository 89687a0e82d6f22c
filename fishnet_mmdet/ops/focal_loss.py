"""Focal loss (Lin et al. 2017, equation 5) over sigmoids and over a softmax, and its gradient."""

import torch
from torch import Tensor

from .layout import computed_in


def _class_weight(weight: Tensor, target: Tensor) -> Tensor:
    """The weight of every sample's class, shape (n,); 1 without weights."""
    return weight[target.clamp(max=len(weight) - 1)] if weight.numel() else torch.ones_like(target)


def sigmoid_loss(input: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    """The loss of every sample and class.

    Args:
        input (Tensor): Logits, shape (n, classes).
        target (Tensor): Classes; the number of classes stands for the background; shape (n,).
        weight (Tensor): Of the classes, shape (classes,); or empty.
        gamma (float): Exponent that lowers the loss of easy samples.
        alpha (float): Weight of the foreground; the background has 1 - alpha.
    """
    x = input.to(computed_in(input))
    positive = target[:, None] == torch.arange(x.shape[1], device=x.device)
    # p and 1 - p of the right answer.
    signed = torch.where(positive, x, -x)
    log_right, wrong = torch.nn.functional.logsigmoid(signed), torch.sigmoid(-signed)
    factor = torch.where(positive, alpha, 1 - alpha) * _class_weight(weight, target)[:, None]
    return -factor * wrong**gamma * log_right


def sigmoid_forward(input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float) -> None:
    """mmcv's ``sigmoid_focal_loss_forward``: writes the loss of every sample and class."""
    output.copy_(sigmoid_loss(input, target, weight, gamma, alpha))


def sigmoid_backward(input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float) -> None:
    """mmcv's ``sigmoid_focal_loss_backward``: writes the derivative of the sum of the losses."""
    with torch.enable_grad():
        leaf = input.detach().requires_grad_()
        loss = sigmoid_loss(leaf, target, weight, gamma, alpha)
    grad_input.copy_(torch.autograd.grad(loss, leaf, torch.ones_like(loss))[0])


def _of_target(softmax, target):
    """The probability of every sample's class, kept from zero, and whether the sample has one, shape (n,)."""
    counts = target >= 0
    chosen = softmax.to(computed_in(softmax)).gather(1, target.clamp(min=0)[:, None])[:, 0]
    return chosen, counts


def softmax_forward(softmax: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float) -> None:
    """mmcv's ``softmax_focal_loss_forward``: writes the loss (n,) from probabilities (n, classes); 0 for a target < 0."""
    p, counts = _of_target(softmax, target)
    loss = -alpha * (1 - p) ** gamma * p.clamp(min=torch.finfo(p.dtype).tiny).log()
    output.copy_(loss * counts * _class_weight(weight, target.clamp(min=0)))


def softmax_backward(
    softmax: Tensor, target: Tensor, weight: Tensor, buff: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """mmcv's ``softmax_focal_loss_backward``: writes the derivative of the sum of the losses by the logits."""
    p, counts = _of_target(softmax, target)
    log = p.clamp(min=torch.finfo(p.dtype).tiny).log()
    # p times the derivative of the loss by p.
    slope = alpha * (gamma * (1 - p) ** (gamma - 1) * p * log - (1 - p) ** gamma)
    slope = slope * counts * _class_weight(weight, target.clamp(min=0))
    right = target[:, None] == torch.arange(softmax.shape[1], device=softmax.device)
    buff.copy_(slope)
    grad_input.copy_(slope[:, None] * (right.to(slope.dtype) - softmax.to(slope.dtype)))
