"""From an image to the input of a network whose file leaves this to the caller: as mmdet's test pipeline does it."""

from typing import Callable, Dict, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from ..errors import FishNetError

#: From height and width to the height and width after resizing.
Sizes = Callable[[int, int], Tuple[int, int]]
#: From an image and a height and width to the resized image.
Backend = Callable[[np.ndarray, int, int], np.ndarray]


class Steps(NamedTuple):
    """From an image to the input of the network, in this order.

    Attributes:
        where (str): 'inside': the graph takes these steps; 'beside': :mod:`.preprocessing` does.
        resize (tuple[Sizes, Backend], optional): The size that an image gets, and what resizes it; None if it keeps its size.
        crop (tuple[int, int], optional): Height and width of the part in the middle.
        pad_to (tuple[int, int], optional): Height and width after padding to the right and below.
        pad_to_value (float): The value of this padding.
        bgr_to_rgb (bool): Whether the order of the channels is turned.
        mean (tuple[float, ...]): Subtracted from each channel.
        std (tuple[float, ...]): Each channel is then divided by it.
        pad_divisor (int): Height and width are padded to multiples of it.
        pad_value (float): The value of this padding.
    """

    where: str
    resize: Optional[Tuple[Sizes, Backend]] = None
    crop: Optional[Tuple[int, int]] = None
    pad_to: Optional[Tuple[int, int]] = None
    pad_to_value: float = 0
    bgr_to_rgb: bool = False
    mean: Tuple[float, ...] = (0, 0, 0)
    std: Tuple[float, ...] = (1, 1, 1)
    pad_divisor: int = 1
    pad_value: float = 0


class Prepared(NamedTuple):
    """The input that an image becomes.

    Attributes:
        image (np.ndarray): (1, 3, height, width), float32: resized, normalised and padded.
        size (np.ndarray): (2,), int64: its height and width before it was padded to multiples of ``pad_divisor``.
        scale (np.ndarray): (2,), float32: by which the width and the height were multiplied.
    """

    image: np.ndarray
    size: np.ndarray
    scale: np.ndarray


def prepare(image: np.ndarray, steps: Steps) -> Prepared:
    """Takes the steps of a model file.

    Args:
        image (np.ndarray): (height, width, 3), uint8, BGR.
        steps (Steps): The steps.

    Returns:
        Prepared: The input.

    Raises:
        FishNetError: If a side would have no pixels.
    """
    height, width = image.shape[:2]
    if steps.resize:
        sizes, backend = steps.resize
        new = sizes(height, width)
        if 0 in new:
            raise FishNetError(f'an image of {height}x{width} pixels is too thin: resized, it would have {new[0]}x{new[1]}')
        image = backend(image, *new)
    scale = np.array([image.shape[1] / width, image.shape[0] / height], np.float32)
    if steps.crop:
        image = crop_middle(image, *steps.crop)
    if steps.pad_to:
        image = pad(image, *steps.pad_to, steps.pad_to_value)
    size = np.array(image.shape[:2], np.int64)
    values = image.astype(np.float32)
    if steps.bgr_to_rgb:
        values = values[..., ::-1]
    values = (values - np.float32(steps.mean)) / np.float32(steps.std)
    height, width = (-(-side // steps.pad_divisor) * steps.pad_divisor for side in values.shape[:2])
    values = pad(values, height, width, steps.pad_value)
    return Prepared(np.ascontiguousarray(values.transpose(2, 0, 1)[None]), size, scale)


def _resize(step: dict) -> Sizes:
    """mmdet's ``Resize``: as large as fits into the scale, which is turned as the image is."""
    width, height = map(int, step['scale'])
    longer, shorter = max(width, height), min(width, height)

    def fit(h: int, w: int) -> Tuple[int, int]:
        factor = min(longer / max(h, w), shorter / min(h, w))
        return int(h * factor + 0.5), int(w * factor + 0.5)

    return fit if step.get('keep_ratio', True) else lambda h, w: (height, width)


def _short_side(step: dict) -> Sizes:
    """mmcv's ``ResizeShortestEdge``."""
    scale, most = int(step['scale']), int(step.get('max_size') or 0)

    def fit(h: int, w: int) -> Tuple[int, int]:
        sides = h * scale / min(h, w), w * scale / min(h, w)
        factor = min(1, most / max(sides)) if most else 1
        return int(sides[0] * factor + 0.5), int(sides[1] * factor + 0.5)

    return fit


def _enlarge(step: dict) -> Sizes:
    """Our ``Enlarge``: small images get a shorter side of ``shorter`` pixels, large ones a longer side of ``longer``."""
    shorter, longer = int(step['shorter']), int(step['longer'])

    def fit(h: int, w: int) -> Tuple[int, int]:
        factor = min(max(1, shorter / min(h, w)), longer / max(h, w))
        return max(1, round(h * factor)), max(1, round(w * factor))

    return fit


#: By the name of a step in the metadata.
RESIZES: Dict[str, Callable[[dict], Sizes]] = dict(Resize=_resize, ShortSide=_short_side, Enlarge=_enlarge)


def _opencv(image: np.ndarray, height: int, width: int) -> np.ndarray:
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def _pillow(image: np.ndarray, height: int, width: int) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError as error:
        raise FishNetError('this model resizes images with Pillow, which is not installed: pip install pillow') from error
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


#: By the name of mmcv's backend in the metadata.
BACKENDS: Dict[str, Backend] = dict(cv2=_opencv, pillow=_pillow)


def read_steps(given: dict) -> Steps:
    """The steps that the metadata of a model file describe.

    Raises:
        Exception: KeyError, TypeError, ValueError or AttributeError if they describe none.
    """
    if given['where'] == 'inside':
        return Steps('inside')
    if given['where'] != 'beside':
        raise ValueError(f'preprocessing {given["where"]!r}')
    return Steps('beside', **{name: read(given[name]) for name, read in STEPS.items() if name in given})


def _resizing(step: Optional[dict]) -> Optional[Tuple[Sizes, Backend]]:
    return step and (RESIZES[step['kind']](step), BACKENDS[step.get('backend', 'cv2')])


def _pair(size: Optional[list]) -> Optional[Tuple[int, int]]:
    if size is None:
        return None
    height, width = map(int, size)
    return height, width


def _channels(values: list) -> Tuple[float, ...]:
    blue, green, red = map(float, values)
    return blue, green, red


def _divisor(value: float) -> int:
    return max(1, int(value))


#: How each field of ``Steps`` is read from the metadata.
STEPS: Dict[str, Callable] = dict(
    resize=_resizing,
    crop=_pair,
    pad_to=_pair,
    pad_to_value=float,
    bgr_to_rgb=bool,
    mean=_channels,
    std=_channels,
    pad_divisor=_divisor,
    pad_value=float,
)


def crop_middle(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The part in the middle, at most as large as the image."""
    top, left = (max(0, round((have - want) / 2)) for have, want in zip(image.shape, (height, width)))
    return image[top : top + height, left : left + width]


def pad(image: np.ndarray, height: int, width: int, value: float) -> np.ndarray:
    """The image with rows below and columns to the right; one that is larger stays."""
    below, right = max(0, height - image.shape[0]), max(0, width - image.shape[1])
    return np.pad(image, ((0, below), (0, right), (0, 0)), constant_values=np.array(value, image.dtype))
