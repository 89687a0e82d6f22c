"""Feature maps as tables of rows, and back."""

import torch
from torch import Tensor


def computed_in(tensor: Tensor) -> torch.dtype:
    """The dtype to compute in: float64 stays, everything else is computed in float32."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def to_rows(maps: Tensor) -> Tensor:
    """Feature maps (n, c, h, w) as a contiguous table (n * h * w, c), in the dtype to compute in.

    For channels-last maps of that dtype it is a view. The embedding bag is 40 times slower on a table that is not
    contiguous, as the view of one contiguous image would be.
    """
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1]).to(computed_in(maps)).contiguous()


def is_channels_last(maps: Tensor) -> bool:
    """Whether feature maps (n, c, h, w) are stored as a table of rows."""
    return maps.is_contiguous(memory_format=torch.channels_last) and not maps.is_contiguous()


def write_rows(rows: Tensor, maps: Tensor) -> None:
    """Writes a table (n * h * w, c) into feature maps (n, c, h, w) of any layout."""
    n, c, h, w = maps.shape
    rows = rows.to(maps.dtype).view(n, h * w, c)
    if maps.is_contiguous():
        # PyTorch transposes matrices three times as fast as it permutes tensors of more dimensions.
        for image, table in zip(maps.view(n, c, h * w), rows):
            image.copy_(table.t())
    else:
        maps.copy_(rows.view(n, h, w, c).permute(0, 3, 1, 2))
