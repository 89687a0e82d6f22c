"""What training adds to mmengine's Runner."""

from .accuracy import Accuracy
from .bfloat16 import BFloat16OptimWrapper
from .hooks import CheckFixedNormHook, StopGradClipHook
from .panoptic_quality import PanopticQuality

__all__ = ['BFloat16OptimWrapper', 'CheckFixedNormHook', 'PanopticQuality', 'StopGradClipHook', 'Accuracy']
