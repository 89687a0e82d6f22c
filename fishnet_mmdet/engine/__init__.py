"""What training adds to mmengine's Runner."""

from .hooks import CheckFixedNormHook, StopGradClipHook

__all__ = ['CheckFixedNormHook', 'StopGradClipHook']
