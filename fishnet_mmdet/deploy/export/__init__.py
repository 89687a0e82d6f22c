"""From a trained model to an ONNX file. It needs PyTorch, mmdet, onnx and onnxscript; the file itself does not."""

from .exporting import PLACES, export
from .metadata import describe
from .saving import save_as
from .verifying import drawn_shapes, verify

__all__ = ['PLACES', 'describe', 'drawn_shapes', 'export', 'save_as', 'verify']
