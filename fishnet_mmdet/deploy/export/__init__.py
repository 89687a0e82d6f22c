"""From a trained model to an ONNX file. It needs PyTorch, mmdet, onnx and onnxscript; the file itself does not."""

from .exporting import PLACES, export
from .metadata import describe
from .saving import save_as
from .verifying import verify

__all__ = ['PLACES', 'describe', 'export', 'save_as', 'verify']
