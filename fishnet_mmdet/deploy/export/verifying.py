"""The check of a model before the command says that it is done."""

import json

import cv2
import numpy as np
import onnx
from onnx import ModelProto

from ...datasets.shape_scenes import draw_scene
from ...errors import FishNetError
from ...inference import Predictor
from .comparing import Difference, Session, by_pytorch, compare
from .metadata import read_metadata

#: How far float32 may be from PyTorch: pixels, scores, masks.
LIMITS = Difference(box=0.01, score=1e-4, mask=0.99)


def verify(model: ModelProto, predictor: Predictor, image: np.ndarray) -> str:
    """Checks the model with ONNX's checker, and compares it in ONNX Runtime with PyTorch on an image.

    Args:
        model (ModelProto): The exported model, in float32.
        predictor (Predictor): The model that was exported.
        image (np.ndarray): (h, w, 3), uint8, BGR.

    Returns:
        str: What was found.

    Raises:
        FishNetError: If the model is no valid ONNX, or finds something else.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise FishNetError(f'the exported model is no valid ONNX, so it was not saved: {error}') from error
    if size := json.loads(read_metadata(model).get('fixed_size', 'null')):
        image = cv2.resize(image, size[::-1])
    difference = compare(by_pytorch(predictor, image), Session(model)(image))
    text = (
        f'ONNX Runtime and PyTorch: {difference.objects} objects in both, {difference.alone} in one of them; '
        f'apart at most {difference.box:.1e} pixels, {difference.score:.1e} in scores, '
        f'IoU of masks at least {difference.mask:.4f}'
    )
    exact = difference.box <= LIMITS.box and difference.score <= LIMITS.score and difference.mask >= LIMITS.mask
    # An object whose score is the threshold, up to the last bit, may be in one of them.
    if not exact or difference.alone > 1 + difference.objects // 50:
        raise FishNetError(f'the exported model differs from PyTorch, so it was not saved. {text}')
    return text


def drawn_shapes() -> np.ndarray:
    """A picture with textures and contours, (h, w, 3), uint8, BGR."""
    return draw_scene(np.random.default_rng(0))[0]
