"""The image that a user gives: an array or a file."""

import os
from pathlib import Path
from typing import Union

import cv2
import numpy as np

from ..errors import FishNetError

Image = Union[np.ndarray, str, 'os.PathLike[str]']


def as_image(image: Image) -> np.ndarray:
    """An image as OpenCV reads it.

    Args:
        image (np.ndarray | str | PathLike): An image file; or an array, uint8, of shape (height, width, 3) with the channels
            blue, green, red. (height, width) and (height, width, 1) are grey; the fourth channel of (height, width, 4) is
            ignored, as OpenCV does it when it reads a file.

    Returns:
        np.ndarray: (height, width, 3), uint8, contiguous.

    Raises:
        FishNetError: If it is no such image.
    """
    if isinstance(image, (str, os.PathLike)):
        return read_image(Path(image))
    if not isinstance(image, np.ndarray):
        raise FishNetError(
            f'an image must be a NumPy array or the name of a file, not {type(image).__name__}: of a PIL image or a tensor '
            'make an array (height, width, 3), uint8, with the channels blue, green, red'
        )
    if image.dtype != np.uint8:
        raise FishNetError(f'an image must be uint8 with values from 0 to 255, not {image.dtype}: convert it')
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise FishNetError(f'an image must be of shape (height, width, 3), not {image.shape}')
    if 0 in image.shape:
        raise FishNetError(f'the image has no pixels: its shape is {image.shape}')
    if image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    return np.ascontiguousarray(image[..., :3])


def read_image(file: Path) -> np.ndarray:
    """An image file as (height, width, 3), BGR, turned as its EXIF data say.

    Raises:
        FishNetError: If there is no such file, or it is not an image.
    """
    try:
        # Not cv2.imread: on Windows it cannot open names with other letters than the system's.
        coded = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError as error:
        raise FishNetError(f'the image {file} cannot be read: {error.strerror}') from error
    try:
        image = cv2.imdecode(coded, cv2.IMREAD_COLOR) if len(coded) else None
    except cv2.error as error:
        raise FishNetError(f'the image {file} cannot be decoded: {error.err}') from error
    if image is None:
        raise FishNetError(f'{file} is not an image that OpenCV can read, or it is damaged')
    return image
