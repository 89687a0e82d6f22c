"""CARAFE (Wang et al. 2019, section 3.2): upsampling where every output pixel has its own k x k filter.

mmcv's two versions, ``carafe`` and ``carafe_naive``, compute the same.
"""

from typing import Iterator, Tuple

import torch.nn.functional as F
from torch import Tensor

from .layout import computed_in


def _by_group(maps: Tensor, groups: int, scale: int) -> Tensor:
    """Large maps (n, c, h * scale, w * scale) as (n, groups, c / groups, h, scale, w, scale)."""
    n, c, height, width = maps.shape
    return maps.to(computed_in(maps)).reshape(n, groups, c // groups, height // scale, scale, width // scale, scale)


def _padded(features: Tensor, groups: int, kernel: int) -> Tensor:
    """Features (n, c, h, w) with zeros around them, as (n, groups, c / groups, h + kernel - 1, w + kernel - 1)."""
    n, c = features.shape[:2]
    padded = F.pad(features.to(computed_in(features)), [kernel // 2] * 4)
    return padded.view(n, groups, c // groups, *padded.shape[2:])


def _taps(padded: Tensor, kernel: int) -> Iterator[Tuple[int, Tensor]]:
    """The number of every tap of the kernel, and the view of the padded features that it reads, (..., h, 1, w, 1)."""
    height, width = padded.shape[-2] - kernel + 1, padded.shape[-1] - kernel + 1
    for tap in range(kernel * kernel):
        y, x = divmod(tap, kernel)
        yield tap, padded[..., y : y + height, x : x + width][..., :, None, :, None]


def naive_forward(
    features: Tensor, masks: Tensor, output: Tensor, kernel_size: int, group_size: int, scale_factor: int
) -> None:
    """mmcv's ``carafe_naive_forward``: writes ``output`` (n, c, h * scale, w * scale)."""
    masks, result = _by_group(masks, group_size, scale_factor), _by_group(output, group_size, scale_factor).zero_()
    for tap, view in _taps(_padded(features, group_size, kernel_size), kernel_size):
        result.addcmul_(view, masks[:, :, tap, None])
    output.copy_(result.view_as(output))


def naive_backward(
    grad_output: Tensor,
    features: Tensor,
    masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """mmcv's ``carafe_naive_backward``: writes ``grad_input`` and ``grad_masks``."""
    grad, masks = (_by_group(maps, group_size, scale_factor) for maps in (grad_output, masks))
    padded = _padded(features, group_size, kernel_size)
    grad_padded, grad_by_tap = padded.new_zeros(padded.shape), masks.new_zeros(masks.shape)
    views = zip(_taps(padded, kernel_size), _taps(grad_padded, kernel_size))
    for (tap, view), (_, grad_view) in views:
        grad_by_tap[:, :, tap] = (grad * view).sum(2)
        grad_view += (grad * masks[:, :, tap, None]).sum((4, 6), keepdim=True)
    border = kernel_size // 2
    height, width = grad_input.shape[2:]
    inner = grad_padded[..., border : border + height, border : border + width]
    grad_input.copy_(inner.reshape(grad_input.shape))
    grad_masks.copy_(grad_by_tap.reshape(grad_masks.shape))


def forward(
    features: Tensor,
    masks: Tensor,
    rfeatures: Tensor,
    routput: Tensor,
    rmasks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """mmcv's ``carafe_forward``: writes ``output``, and the features for the backward pass to ``rfeatures``."""
    rfeatures.copy_(features)
    naive_forward(features, masks, output, kernel_size, group_size, scale_factor)


def backward(
    grad_output: Tensor,
    rfeatures: Tensor,
    masks: Tensor,
    rgrad_output: Tensor,
    rgrad_input_hs: Tensor,
    rgrad_input: Tensor,
    rgrad_masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """mmcv's ``carafe_backward``: writes ``grad_input`` and ``grad_masks``."""
    naive_backward(grad_output, rfeatures, masks, grad_input, grad_masks, kernel_size, group_size, scale_factor)
