"""What happens to an image before the network: the test pipeline and the data preprocessor, as one module."""

from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .operators import divided
from .resizing import BACKENDS, whole
from .sizes import KINDS


class Preprocessing(nn.Module):
    """The steps that the metadata of a file describe.

    Args:
        steps (dict): ``resize``, ``crop``, ``pad_to``, ``pad_to_value``, ``bgr_to_rgb``, ``mean``, ``std``, ``pad_divisor``
            and ``pad_value``; the first three can be None.
    """

    def __init__(self, steps: dict) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, image: Tensor) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        """An image (h, w, 3), uint8, BGR, to what the network gets.

        Returns:
            tuple[Tensor, Tensor, Tensor, Tensor]: The image (1, 3, h', w'); its height and width without the last padding;
            those of the given image; and those after resizing.
        """
        steps = self.steps
        original = torch.stack([torch.scalar_tensor(side, dtype=torch.long) for side in image.shape[:2]])
        resized, pixels = original, image.float()
        if steps['resize']:
            resize = dict(steps['resize'])
            kind, backend = resize.pop('kind'), resize.pop('backend')
            resized = KINDS[kind](original, **resize)
            pixels = BACKENDS[backend](image, resized)
        size = resized
        if steps['crop']:
            pixels, size = self._crop(pixels, size)
        if steps['pad_to']:
            pixels, size = self._pad(pixels, size, torch.tensor(steps['pad_to']), steps['pad_to_value'])
        if steps['bgr_to_rgb']:
            pixels = pixels.flip(-1)
        pixels = (pixels - torch.tensor(steps['mean'])) / torch.tensor(steps['std'])
        divisor = steps['pad_divisor']
        target = divided(size + divisor - 1, divisor) * divisor
        pixels, _ = self._pad(pixels, size, target, steps['pad_value'])
        return pixels.permute(2, 0, 1)[None], size, original, resized

    def _crop(self, pixels: Tensor, size: Tensor) -> Tuple[Tensor, Tensor]:
        target = torch.minimum(size, torch.tensor(self.steps['crop']))
        # mmcv rounds the corner half to even.
        corner = ((size - target).double() / 2).round().long()
        rows, columns = (torch.arange(side) + start for side, start in zip(whole(target), corner))
        return pixels.index_select(0, rows).index_select(1, columns), target

    def _pad(self, pixels: Tensor, size: Tensor, target: Tensor, value: float) -> Tuple[Tensor, Tensor]:
        """Pads the right and the lower side to the target, if that is larger."""
        target = torch.maximum(size, target)
        more = target - size
        below, right = more[0].item(), more[1].item()
        for side in (below, right):
            torch._check(side >= 0)
        return F.pad(pixels, (0, 0, 0, right, 0, below), value=float(value)), target
