"""The FishNet backbone for MMDetection.

Importing the package registers everything in it: ``custom_imports = dict(imports=['fishnet_mmdet'],
allow_failed_imports=False)`` in a config is enough.
"""

from . import environment
from .version import __version__

environment.check()

from . import compat  # noqa: E402
from .ops import OPERATORS, install  # noqa: E402

compat.install()
# Before anything imports mmcv.ops, as most modules of mmdet do.
install(OPERATORS)

from . import fishify  # noqa: E402
from .checkpoints import (  # noqa: E402  after the check, whose message is clearer
    FishNetPretrained,
    allow_training_state,
    read_safetensors_in_mmengine,
)
from .config_files import config_file  # noqa: E402
from .datasets import ClassificationDataset, ImageFolder, LoadPanopticSegments, ObjectCrops, SmallImages  # noqa: E402
from .engine import Accuracy, CheckFrozenNormHook, PanopticQuality, StopGradClipHook  # noqa: E402
from .models import ClassificationHead, Classifier, Fish, FishNet, FishNeXt, ZeroInitResidual  # noqa: E402

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
