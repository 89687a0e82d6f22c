"""Transforms for classification: images (height, width, 3) uint8 in BGR with one label.

Random numbers come from numpy's global generator, as in mmcv's transforms, because mmengine seeds it in every worker. Other
transforms come from mmcv and mmdet: ``LoadImageFromFile``, ``RandomFlip``, ``ResizeShortestEdge``, ``CenterCrop``.
"""

import math
from typing import Dict, Sequence, Tuple

import cv2
import mmcv
import numpy as np
import torch
from mmcv.transforms import BaseTransform

from ..errors import FishNetError
from ..registry import TRANSFORMS

#: Principal components of ImageNet's RGB values from 0 to 1: the eigenvalues of their covariance, and the eigenvectors as
#: columns, in the order R, G, B. Published with fb.resnet.torch; FishNet's authors use them.
EIGENVALUES = (0.2175, 0.0188, 0.0045)
EIGENVECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))

BORDERS = dict(zero=cv2.BORDER_CONSTANT, reflect=cv2.BORDER_REFLECT_101)
BACKENDS = ('cv2', 'pillow')


def _below(count: int) -> int:
    """A random integer from 0 to count - 1. For one number this is several times faster than numpy's randint."""
    return int(np.random.random_sample() * count)


@TRANSFORMS.register_module()
class RandomResizedCrop(BaseTransform):
    """Crops a part of random area, aspect ratio and position, and resizes it to a square (Szegedy et al. 2015).

    The area is uniform; the logarithm of the aspect ratio is uniform. A crop that does not fit into the image is drawn
    again. After 10 failed draws the crop is the largest one in the centre with an aspect ratio in the range.

    Args:
        size (int): Side of the result in pixels.
        area (Sequence[float]): Smallest and largest area, as a share of the image's area.
        aspect (Sequence[float]): Smallest and largest aspect ratio, width / height.
        backend (str): Library for bilinear resizing. 'cv2' reads 4 pixels for each pixel of the result. 'pillow' is slower;
            where it shrinks a crop it averages all pixels, as torchvision does.

    Raises:
        FishNetError: If an argument is out of range.
    """

    TRIES = 10

    def __init__(
        self,
        size: int,
        area: Sequence[float] = (0.08, 1.0),
        aspect: Sequence[float] = (3 / 4, 4 / 3),
        backend: str = 'cv2',
    ) -> None:
        if not (isinstance(size, int) and size > 0):
            raise FishNetError(f'size of RandomResizedCrop must be a positive number of pixels, not {size!r}')
        if not (len(area) == 2 and 0 < area[0] <= area[1] <= 1):
            raise FishNetError(f'area of RandomResizedCrop must be (smallest, largest) share of the image, 0 to 1, not {area}')
        if not (len(aspect) == 2 and 0 < aspect[0] <= aspect[1]):
            raise FishNetError(f'aspect of RandomResizedCrop must be (smallest, largest) width / height, not {aspect}')
        if backend not in BACKENDS:
            raise FishNetError(f'backend of RandomResizedCrop must be {" or ".join(BACKENDS)}, not {backend!r}')
        self.size = size
        self.area = area
        self.aspect = aspect
        self.backend = backend

    def _draw(self, height: int, width: int) -> Tuple[int, int, int, int]:
        """Left, top, width and height of a random crop in pixels."""
        low, high = math.log(self.aspect[0]), math.log(self.aspect[1])
        for _ in range(self.TRIES):
            area = height * width * (self.area[0] + (self.area[1] - self.area[0]) * np.random.random_sample())
            aspect = math.exp(low + (high - low) * np.random.random_sample())
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                return _below(width - w + 1), _below(height - h + 1), w, h
        w = min(width, max(1, round(height * self.aspect[1])))
        h = min(height, max(1, round(width / self.aspect[0])))
        return (width - w) // 2, (height - h) // 2, w, h

    def transform(self, results: Dict) -> Dict:
        """Replaces ``img`` (h, w, 3) by (size, size, 3) with the same dtype."""
        image = results['img']
        left, top, width, height = self._draw(*image.shape[:2])
        part = image[top : top + height, left : left + width]
        results['img'] = mmcv.imresize(part, (self.size, self.size), backend=self.backend)
        results['img_shape'] = (self.size, self.size)
        return results

    def __repr__(self) -> str:
        return f'RandomResizedCrop(size={self.size}, area={self.area}, aspect={self.aspect}, backend={self.backend!r})'


@TRANSFORMS.register_module()
class RandomPadCrop(BaseTransform):
    """Shifts an image by up to ``padding`` pixels: pads all sides, and crops a random part of the original size.

    Args:
        padding (int): Pixels on each side.
        mode (str): Values of the padding: 'zero', or 'reflect', which mirrors the image at its outermost pixels.

    Raises:
        FishNetError: If an argument is out of range.
    """

    def __init__(self, padding: int = 4, mode: str = 'reflect') -> None:
        if not (isinstance(padding, int) and padding >= 0):
            raise FishNetError(f'padding of RandomPadCrop must be a number of pixels, 0 or more, not {padding!r}')
        if mode not in BORDERS:
            raise FishNetError(f'mode of RandomPadCrop must be {" or ".join(BORDERS)}, not {mode!r}')
        self.padding = padding
        self.mode = mode

    def transform(self, results: Dict) -> Dict:
        """Replaces ``img`` by an image of the same shape and dtype."""
        height, width = results['img'].shape[:2]
        padded = cv2.copyMakeBorder(results['img'], *[self.padding] * 4, BORDERS[self.mode])
        top, left = _below(2 * self.padding + 1), _below(2 * self.padding + 1)
        results['img'] = padded[top : top + height, left : left + width]
        return results

    def __repr__(self) -> str:
        return f'RandomPadCrop(padding={self.padding}, mode={self.mode!r})'


@TRANSFORMS.register_module()
class PCALighting(BaseTransform):
    """Adds random multiples of the principal components of ImageNet's colours (Krizhevsky et al. 2012, section 4.1).

    The transform adds ``255 * p @ (a * l)`` to (R, G, B) of every pixel, with eigenvectors p, eigenvalues l, and three
    normally distributed numbers a. It does not clip the values, so black and white pixels shift as much as others. Place it
    before ``RandomFlip``: OpenCV would have to copy the reversed view that a flip returns.

    Args:
        std (float): Standard deviation of the numbers a.

    Raises:
        FishNetError: If ``std`` is negative.
    """

    def __init__(self, std: float = 0.1) -> None:
        if not std >= 0:
            raise FishNetError(f'std of PCALighting must be 0 or more, not {std}')
        self.std = std
        # The rows are reversed, because images are BGR.
        self._components = 255 * std * (np.array(EIGENVECTORS) * EIGENVALUES)[::-1]

    def transform(self, results: Dict) -> Dict:
        """Replaces ``img`` by float32 of the same shape, with values around 0 to 255."""
        shift = self._components @ np.random.standard_normal(3)
        results['img'] = cv2.add(results['img'], (*shift, 0), dtype=cv2.CV_32F)
        return results

    def __repr__(self) -> str:
        return f'PCALighting(std={self.std})'


@TRANSFORMS.register_module()
class PackInputs(BaseTransform):
    """Makes the input of ``Classifier``: ``inputs``, a (3, h, w) tensor, and ``data_samples``, the label as an int.

    mmpretrain's transform of this name packs the label into a ``DataSample``. Here it stays an int, so that PyTorch's
    ``default_collate`` makes one tensor of the labels of a batch.

    The dtype of the pixels does not change. Bytes are a quarter of the size of floats on the way from the workers to the
    model, and its data preprocessor converts them on the model's device.
    """

    def transform(self, results: Dict) -> Dict:
        """Packs ``img`` (h, w, 3) and ``gt_label`` into a new dict."""
        planes = np.ascontiguousarray(results['img'].transpose(2, 0, 1))
        return dict(inputs=torch.from_numpy(planes), data_samples=int(results['gt_label']))

    def __repr__(self) -> str:
        return 'PackInputs()'
