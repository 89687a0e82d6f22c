"""The check of a file before the command says that it is done."""

from pathlib import Path
from typing import Optional

import mmcv
import numpy as np
import onnx
from onnx import ModelProto

from ...datasets.shape_scenes import draw_scene
from ...errors import FishNetError
from ...inference import Predictor
from .comparing import Difference, Session, by_pytorch, compare

#: How far float32 may be from PyTorch: pixels, scores, masks.
LIMITS = Difference(box=0.01, score=1e-4, mask=0.99)


def verify(model: ModelProto, predictor: Predictor, image: Optional[Path] = None) -> str:
    """Checks the model with ONNX's checker, and compares it in ONNX Runtime with PyTorch on an image.

    Args:
        model (ModelProto): The exported model.
        predictor (Predictor): The model that was exported.
        image (Path, optional): A file; default: drawn shapes.

    Returns:
        str: What was found.

    Raises:
        FishNetError: If the model is no valid ONNX, or finds something else.
    """
    onnx.checker.check_model(model, full_check=True)
    pixels = draw_scene(np.random.default_rng(0))[0] if image is None else read_image(image)
    difference = compare(by_pytorch(predictor, pixels), Session(model)(pixels))
    text = (
        f'ONNX Runtime and PyTorch on {image or "drawn shapes"}: {difference.objects} objects in both, {difference.alone} in '
        f'one of them; apart at most {difference.box:.1e} pixels, {difference.score:.1e} in scores, '
        f'IoU of masks at least {difference.mask:.4f}'
    )
    exact = difference.box <= LIMITS.box and difference.score <= LIMITS.score and difference.mask >= LIMITS.mask
    if not exact or difference.alone > 1 + difference.objects // 50:
        raise FishNetError(f'the exported model differs from PyTorch, so it was not saved. {text}')
    return text


def read_image(file: Path) -> np.ndarray:
    """An image file as (h, w, 3), uint8, BGR.

    Raises:
        FishNetError: If it is none.
    """
    if not file.is_file():
        raise FishNetError(f'there is no image {file}')
    image = mmcv.imread(str(file))
    if image is None:
        raise FishNetError(f'{file} is not an image that OpenCV can read')
    return image
