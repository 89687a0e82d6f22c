"""The FishNet backbone for MMDetection.

Importing the package registers everything in it: ``custom_imports = dict(imports=['fishnet_mmdet'],
allow_failed_imports=False)`` in a config is enough.

Where torch, mmengine, mmcv or mmdet is not installed, :mod:`fishnet_mmdet.deploy` is all that can be used: it runs exported
models. Every other name then raises an error that says which package is missing.
"""

from . import environment
from .version import __version__

if environment.has_stack():
    environment.check()

    from . import compat
    from .ops import OPERATORS, install

    compat.install()
    # Before anything imports mmcv.ops, as most modules of mmdet do.
    install(OPERATORS)

    from . import fishify
    from .checkpoints import (  # after the check, whose message is clearer
        FishNetPretrained,
        allow_training_state,
        read_safetensors_in_mmengine,
    )
    from .config_files import config_file
    from .datasets import ClassificationDataset, ImageFolder, LoadPanopticSegments, ObjectCrops, SmallImages
    from .engine import Accuracy, CheckFrozenNormHook, PanopticQuality, StopGradClipHook
    from .models import ClassificationHead, Classifier, Fish, FishNet, FishNeXt, ZeroInitResidual

    allow_training_state()
    read_safetensors_in_mmengine()

__all__ = [
    'Accuracy',
    'CheckFrozenNormHook',
    'ClassificationDataset',
    'ClassificationHead',
    'Classifier',
    'Fish',
    'FishNeXt',
    'FishNet',
    'FishNetPretrained',
    'ImageFolder',
    'LoadPanopticSegments',
    'ObjectCrops',
    'PanopticQuality',
    'SmallImages',
    'StopGradClipHook',
    'ZeroInitResidual',
    '__version__',
    'config_file',
    'fishify',
]


def __getattr__(name: str):
    """Called for names that the package does not have: those of ``__all__`` if the stack is not installed."""
    if name in __all__:
        environment.check()
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
