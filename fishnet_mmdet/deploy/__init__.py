"""Exported models: one ONNX file runs with onnxruntime, NumPy and OpenCV alone, without torch, mmcv and mmdet.

>>> from fishnet_mmdet.deploy import Detector
>>> detector = Detector('model.onnx')
>>> boxes, labels, scores, masks = detector('image.jpg')

Nothing here may import torch, mmengine, mmcv or mmdet, except :mod:`fishnet_mmdet.deploy.export`, which makes the files.
"""

from ..errors import FishNetError
from .detector import Detector
from .results import ClassScores, Objects, PanopticMap

__all__ = ['ClassScores', 'Detector', 'FishNetError', 'Objects', 'PanopticMap']
