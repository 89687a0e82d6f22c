"""The parts of a convolution that is computed at some pixels only (mmcv's MaskedConv2d, for inference)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def im2col(
    features: Tensor, mask_h: Tensor, mask_w: Tensor, columns: Tensor, kernel_h: int, kernel_w: int, pad_h: int, pad_w: int
) -> None:
    """mmcv's ``masked_im2col_forward``: the pixels under the kernel.

    Args:
        features (Tensor): Shape (1, c, h, w).
        mask_h (Tensor): y of the outputs, shape (outputs,); mask_w is x.
        mask_w (Tensor): x of the outputs.
        columns (Tensor): Is written, shape (c * kernel_h * kernel_w, outputs).
        kernel_h (int): Height of the kernel; kernel_w is the width.
        kernel_w (int): Width of the kernel.
        pad_h (int): Zeros above and below the features; pad_w left and right.
        pad_w (int): Zeros left and right.
    """
    padded = F.pad(features[0], (pad_w, pad_w, pad_h, pad_h))
    y = mask_h + torch.arange(kernel_h, device=mask_h.device)[:, None, None]
    x = mask_w + torch.arange(kernel_w, device=mask_w.device)[:, None]
    columns.copy_(padded[:, y, x].reshape(columns.shape))


def col2im(columns: Tensor, mask_h: Tensor, mask_w: Tensor, output: Tensor, height: int, width: int, channels: int) -> None:
    """mmcv's ``masked_col2im_forward``: writes columns (c, outputs) to their pixels in ``output`` (1, c, h, w)."""
    output[0, :, mask_h, mask_w] = columns
