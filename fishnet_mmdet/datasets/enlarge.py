"""Resizing for images of small objects: a small image is enlarged, a large one keeps its pixels."""

from typing import Dict, Sequence

import numpy as np
from mmdet.datasets.transforms import Resize

from ..errors import FishNetError
from ..registry import TRANSFORMS

#: Longest side in pixels unless a config says otherwise: a detector keeps within a laptop's memory.
LONGER = 2048


def resize_factor(sizes: np.ndarray, shorter: int, longer: int = LONGER) -> np.ndarray:
    """By how much ``Enlarge`` scales images of these sizes without its random factor: (..., 2) in pixels to (...)."""
    return np.minimum(np.maximum(1, shorter / sizes.min(-1)), longer / sizes.max(-1))


@TRANSFORMS.register_module()
class Enlarge(Resize):
    """Enlarges an image until its shorter side has ``shorter`` pixels, with its boxes and masks.

    mmdet's ``Resize`` brings every image to one size, so it shrinks large images, and their small objects vanish. This
    transform shrinks an image only if its longer side would have more than ``longer`` pixels.

    Args:
        shorter (int): Length of the shorter side in pixels, at least.
        longer (int): Length of the longer side in pixels, at most.
        ratio_range (Sequence[float]): Smallest and largest random factor on the scale, for training.

    Raises:
        FishNetError: If an argument is out of range.
    """

    def __init__(self, shorter: int, longer: int = LONGER, ratio_range: Sequence[float] = (1, 1)) -> None:
        if not 0 < shorter <= longer:
            raise FishNetError(f'Enlarge needs 0 < shorter <= longer, in pixels, not shorter={shorter}, longer={longer}')
        if not (len(ratio_range) == 2 and 0 < ratio_range[0] <= ratio_range[1]):
            raise FishNetError(f'ratio_range of Enlarge must be (smallest, largest) factor above 0, not {ratio_range}')
        super().__init__(scale=(longer, shorter))
        self.shorter = shorter
        self.longer = longer
        self.ratio_range = ratio_range

    def transform(self, results: Dict) -> Dict:
        """Resizes ``img`` (h, w, 3), ``gt_bboxes`` and ``gt_masks``; adds ``scale_factor``, as mmdet's ``Resize``."""
        height, width = results['img'].shape[:2]
        factor = resize_factor(np.array([width, height]), self.shorter, self.longer) * np.random.uniform(*self.ratio_range)
        self.scale = (max(1, round(width * factor)), max(1, round(height * factor)))
        return super().transform(results)

    def __repr__(self) -> str:
        return f'Enlarge(shorter={self.shorter}, longer={self.longer}, ratio_range={self.ratio_range})'
