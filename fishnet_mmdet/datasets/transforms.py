"""Transforms for classification: images (height, width, 3) uint8 in BGR with one label.

Random numbers come from numpy's global generator, as in mmcv's transforms: mmengine seeds it in every worker. What mmdet and
mmcv have already is taken from there: ``LoadImageFromFile``, ``RandomFlip``, ``ResizeShortestEdge``, ``CenterCrop``.
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
#: columns, in the order R, G, B. Published with fb.resnet.torch, and used by FishNet's authors.
EIGENVALUES = (0.2175, 0.0188, 0.0045)
EIGENVECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))

BORDERS = dict(zero=cv2.BORDER_CONSTANT, reflect=cv2.BORDER_REFLECT_101)
BACKENDS = ('cv2', 'pillow')


def _below(count: int) -> int:
    """A random one of 0 ... count - 1; several times faster than numpy's randint for a single number."""
    return int(np.random.random_sample() * count)


@TRANSFORMS.register_module()
class RandomResizedCrop(BaseTransform):
    """Cuts out a part of random area, aspect and place, and resizes it to a square (Szegedy et al. 2015).

    The share of the area is uniform, the aspect uniform in its logarithm. A part that does not fit into the image is drawn
    again; after 10 such the largest part in the middle whose aspect is within the range is taken.

    Args:
        size (int): Side of the result in pixels.
        area (Sequence[float]): Smallest and largest share of the image's area.
        aspect (Sequence[float]): Smallest and largest width / height.
        backend (str): What resizes, both bilinear: 'cv2', which reads 4 pixels for each of the result's, or 'pillow', which
            is slower and averages over all of them where the part shrinks, as torchvision does.

    Raises:
        FishNetError: If an argument is out of its range.
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
            raise FishNetError(f'size of RandomResizedCrop is a number of pixels, 1 or more, not {size!r}')
        if not (len(area) == 2 and 0 < area[0] <= area[1] <= 1):
            raise FishNetError(f'area of RandomResizedCrop is (smallest, largest) share of the image, 0 to 1, not {area}')
        if not (len(aspect) == 2 and 0 < aspect[0] <= aspect[1]):
            raise FishNetError(f'aspect of RandomResizedCrop is (smallest, largest) width / height, not {aspect}')
        if backend not in BACKENDS:
            raise FishNetError(f'backend of RandomResizedCrop is {" or ".join(BACKENDS)}, not {backend!r}')
        self.size = size
        self.area = area
        self.aspect = aspect
        self.backend = backend

    def _draw(self, height: int, width: int) -> Tuple[int, int, int, int]:
        """Left, top, width and height in pixels of a random part of an image."""
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
        """Replaces ``img`` (h, w, 3) by (size, size, 3) of the same type."""
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
    """Moves an image by up to ``padding`` pixels to any side: pads it all around and cuts out a part of its own size.

    Args:
        padding (int): Pixels on each side.
        mode (str): What is beyond the border: 'zero', or 'reflect', the image mirrored at its outermost pixels.

    Raises:
        FishNetError: If an argument is out of its range.
    """

    def __init__(self, padding: int = 4, mode: str = 'reflect') -> None:
        if not (isinstance(padding, int) and padding >= 0):
            raise FishNetError(f'padding of RandomPadCrop is a number of pixels, 0 or more, not {padding!r}')
        if mode not in BORDERS:
            raise FishNetError(f'mode of RandomPadCrop is {" or ".join(BORDERS)}, not {mode!r}')
        self.padding = padding
        self.mode = mode

    def transform(self, results: Dict) -> Dict:
        """Replaces ``img`` by one of the same shape and type."""
        height, width = results['img'].shape[:2]
        padded = cv2.copyMakeBorder(results['img'], *[self.padding] * 4, BORDERS[self.mode])
        top, left = _below(2 * self.padding + 1), _below(2 * self.padding + 1)
        results['img'] = padded[top : top + height, left : left + width]
        return results

    def __repr__(self) -> str:
        return f'RandomPadCrop(padding={self.padding}, mode={self.mode!r})'


@TRANSFORMS.register_module()
class PCALighting(BaseTransform):
    """Adds a random multiple of ImageNet's principal components of colour to all pixels (Krizhevsky et al. 2012, 4.1).

    To (R, G, B) of every pixel ``255 * p @ (a * l)`` is added: eigenvectors p, eigenvalues l, three normal numbers a. The
    values are not clipped, so that the shift is the same at black and white. It goes before ``RandomFlip``, whose reversed
    view of the pixels OpenCV would copy slowly.

    Args:
        std (float): Standard deviation of the numbers a.

    Raises:
        FishNetError: If ``std`` is negative.
    """

    def __init__(self, std: float = 0.1) -> None:
        if not std >= 0:
            raise FishNetError(f'std of PCALighting is 0 or more, not {std}')
        self.std = std
        # Rows in the images' order: B, G, R.
        self._components = 255 * std * (np.array(EIGENVECTORS) * EIGENVALUES)[::-1]

    def transform(self, results: Dict) -> Dict:
        """Replaces ``img`` by float32 of the same shape, around 0 ... 255."""
        shift = self._components @ np.random.standard_normal(3)
        results['img'] = cv2.add(results['img'], (*shift, 0), dtype=cv2.CV_32F)
        return results

    def __repr__(self) -> str:
        return f'PCALighting(std={self.std})'


@TRANSFORMS.register_module()
class PackInputs(BaseTransform):
    """What the classifier takes of an image: ``inputs``, a (3, h, w) tensor, and ``data_samples``, the number of its class.

    The type of the pixels stays: bytes are quarter the way from the workers to the model, whose data preprocessor converts
    them, on the GPU where there is one.
    """

    def transform(self, results: Dict) -> Dict:
        """Makes a new dict of ``img`` (h, w, 3) and ``gt_label``."""
        planes = np.ascontiguousarray(results['img'].transpose(2, 0, 1))
        return dict(inputs=torch.from_numpy(planes), data_samples=int(results['gt_label']))

    def __repr__(self) -> str:
        return 'PackInputs()'
