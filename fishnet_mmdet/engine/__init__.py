"""What training adds to mmengine's Runner."""

from .accuracy import Accuracy
from .bfloat16 import BFloat16OptimWrapper
from .hooks import CheckFrozenNormHook, StopGradClipHook
from .panoptic_quality import PanopticQuality

__all__ = ['BFloat16OptimWrapper', 'CheckFrozenNormHook', 'PanopticQuality', 'StopGradClipHook', 'Accuracy']
