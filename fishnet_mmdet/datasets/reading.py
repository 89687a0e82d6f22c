"""Decoding of image files."""

from typing import Optional

import cv2
import numpy as np
from mmengine import fileio


def read_image(file: str, backend_args: Optional[dict] = None) -> Optional[np.ndarray]:
    """Reads an image.

    Args:
        file (str): Path or URL.
        backend_args (dict, optional): Storage of the file, as for mmengine's ``fileio``.

    Returns:
        np.ndarray | None: (height, width, 3) uint8 in BGR; None if the file is missing or is not an image.
    """
    try:
        content = np.frombuffer(fileio.get(file, backend_args=backend_args), np.uint8)
    except FileNotFoundError:
        return None
    # OpenCV raises an error for an empty buffer, and returns None for other content that is not an image.
    return cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
