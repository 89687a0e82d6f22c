"""Image files: what is wrong with one, and what happens then."""

import io
import logging
import os
import warnings
from typing import NamedTuple, Optional, Set

import cv2
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmengine import fileio
from mmengine.logging import print_log
from PIL import Image
from torch.utils.data import get_worker_info

from ..errors import FishNetError

#: Pixels that an image may have: Pillow's limit, where 3 bytes a pixel take 0.5 GB. OpenCV allows 2**30.
MOST_PIXELS = 178_956_970
#: Training stops where more than this share of the images that a process has read are faulty ...
MOST_FAULTY = 0.1
#: ... but not before this many are.
ENOUGH_FAULTY = 20
#: Training also stops after this many faulty images in a row: few files, all of them faulty.
IN_A_ROW = 50
#: Sides in pixels of images that can be too thin to be resized: 1 x 3000 to 1333 x 800 leaves no height.
THIN = 32
#: How a file of a format begins, and what it must have in its last bytes, or behind its last start of a scan.
JPEG, JPEG_SCAN, JPEG_END = b'\xff\xd8', b'\xff\xda', b'\xff\xd9'
PNG, PNG_END = b'\x89PNG\r\n\x1a\n', b'IEND'


class Content(NamedTuple):
    """The bytes of an image file, or why they are no image."""

    data: bytes
    problem: Optional[str]


def read_content(file: str, backend_args: Optional[dict] = None) -> Content:
    """Reads an image file without decoding it.

    Args:
        file (str): Path or URL.
        backend_args (dict, optional): Storage of the file, as for mmengine's ``fileio``.

    Returns:
        Content: Its bytes; and what is wrong, as the end of a sentence: 'is missing', 'is truncated' ...; None if the file
        has the header of an image of a legal size, and, for JPEG and PNG, an end.
    """
    if os.path.exists(file) and not os.path.isfile(file):  # a pipe would be waited for
        return Content(b'', 'is no file')
    try:
        data = fileio.get(file, backend_args=backend_args)
    except FileNotFoundError:
        return Content(b'', 'is missing')
    except OSError as error:
        return Content(b'', f'cannot be read ({error.strerror or error})')
    return Content(data, _header_problem(data) or _end_problem(data))


def read_image(file: str, backend_args: Optional[dict] = None) -> Optional[np.ndarray]:
    """Reads an image.

    Args:
        file (str): Path or URL.
        backend_args (dict, optional): Storage of the file, as for mmengine's ``fileio``.

    Returns:
        np.ndarray | None: (height, width, 3) uint8 in BGR; None if the file is missing, faulty or no image.
    """
    content = read_content(file, backend_args)
    return None if content.problem else decode(content.data)


def decode(data: bytes) -> Optional[np.ndarray]:
    """Decodes an image to (height, width, 3) uint8 in BGR, whatever its channels and depth; None if that is impossible."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None


def _header_problem(data: bytes) -> Optional[str]:
    if not data:
        return 'has no bytes'
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # Pillow warns of large images
            with Image.open(io.BytesIO(data)) as image:
                width, height = image.size
    except Image.DecompressionBombError:
        return f'has more than {MOST_PIXELS:,} pixels'
    except Exception:  # Pillow reads fewer formats than OpenCV, which decides in the end
        return None
    return f'has {width:,} x {height:,} pixels, more than {MOST_PIXELS:,}' if width * height > MOST_PIXELS else None


def _end_problem(data: bytes) -> Optional[str]:
    """OpenCV decodes the first part of a truncated file, and fills the rest with grey."""
    if data.startswith(JPEG):
        # A preview inside the header has an end of its own, and some cameras write behind the picture's.
        whole = data.endswith(JPEG_END) or data.rfind(JPEG_END) > data.rfind(JPEG_SCAN)
    else:
        whole = not data.startswith(PNG) or PNG_END in data[-64:] or PNG_END in data
    return None if whole else 'is truncated'


class FaultyImages:
    """Counts the faulty images that a process meets. In training they are skipped, up to a share.

    Args:
        skip (bool): Whether to skip them. If not, the first one is an error: results of a test without it would be wrong.
    """

    def __init__(self, skip: bool = False) -> None:
        self.skip = skip
        self.num_read = 0
        self.in_a_row = 0
        self.faulty: Set[str] = set()

    def good(self) -> None:
        """Counts an image that was read."""
        self.num_read += 1
        self.in_a_row = 0

    def bad(self, file: str, problem: str) -> None:
        """Counts an image that is skipped, and logs it once.

        Raises:
            FishNetError: If faulty images are not skipped, or are too many.
        """
        if not self.skip:
            raise FishNetError(f'the image {file} {problem}: copy it again, or remove it from the data set')
        self.num_read += 1
        self.in_a_row += 1
        new = file not in self.faulty
        self.faulty.add(file)
        count = len(self.faulty)
        if self.in_a_row >= IN_A_ROW or (count >= ENOUGH_FAULTY and count > MOST_FAULTY * self.num_read):
            raise FishNetError(
                f'{count} of the {self.num_read} images that were read are faulty, more than {MOST_FAULTY:.0%}: '
                f'the last is {file}, which {problem}. Correct the data set'
            )
        if new:
            worker = get_worker_info()
            process = f'Worker {worker.id}' if worker else 'The process'
            message = f'The image {file} {problem}: skipped. {process} has skipped {count} images in {self.num_read}.'
            print_log(message, logger='current', level=logging.WARNING)


class LoadImage(BaseTransform):
    """mmcv's ``LoadImageFromFile`` that skips faulty images in training, and names them in testing.

    An image is faulty if its file cannot be read, is truncated or too large, or has another size than its annotations say.

    Args:
        load (LoadImageFromFile): The transform to act for.
        faulty (FaultyImages): What happens to faulty images.
    """

    def __init__(self, load: LoadImageFromFile, faulty: FaultyImages) -> None:
        self.load = load
        self.faulty = faulty

    def transform(self, results: dict) -> Optional[dict]:
        """Loads the image at ``img_path``; None if it is skipped, and the data set then takes another.

        Raises:
            FishNetError: If the image is faulty and is not skipped.
        """
        load, file = self.load, results['img_path']
        data, problem = read_content(file, load.backend_args)
        image = None if problem else _decode(data, load)
        problem = problem or ('cannot be decoded' if image is None else _size_problem(image, results))
        if problem:
            self.faulty.bad(file, problem)
            return None
        self.faulty.good()
        results['img'] = image.astype(np.float32) if load.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def __repr__(self) -> str:
        return repr(self.load)


def _decode(data: bytes, load: LoadImageFromFile) -> Optional[np.ndarray]:
    try:
        return mmcv.imfrombytes(data, flag=load.color_type, backend=load.imdecode_backend)
    except Exception:  # each backend has errors of its own
        return None


def _size_problem(image: np.ndarray, results: dict) -> Optional[str]:
    """Where boxes and masks are for another size than the image has, they are in the wrong places."""
    height, width = image.shape[:2]
    if results.get('height', height) == height and results.get('width', width) == width:
        return None
    return f'is {width}x{height} pixels, and its annotations are for {results["width"]}x{results["height"]}'


class SkipThin(BaseTransform):
    """A transform that resizes, which skips images that would have no width or no height left, and names them in testing.

    Args:
        resize (BaseTransform): The transform to act for.
        faulty (FaultyImages): What happens to these images.
    """

    def __init__(self, resize: BaseTransform, faulty: FaultyImages) -> None:
        self.resize = resize
        self.faulty = faulty

    def transform(self, results: dict) -> Optional[dict]:
        """Resizes; None if the image is skipped.

        Raises:
            FishNetError: If the image is too thin and is not skipped.
        """
        height, width = results['img'].shape[:2]
        try:
            return self.resize.transform(results)
        except cv2.error:
            if min(height, width) > THIN:
                raise
        self.faulty.bad(results['img_path'], f'is {width}x{height} pixels, too thin to be resized')
        return None

    def __repr__(self) -> str:
        return repr(self.resize)
