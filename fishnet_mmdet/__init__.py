"""The FishNet backbone for MMDetection.

Importing the package registers everything in it: ``custom_imports = dict(imports=['fishnet_mmdet'],
allow_failed_imports=False)`` in a config is enough.
"""

from . import compat
from .environment import check_versions
from .version import __version__

compat.install()
check_versions()

from .checkpoints import FishNetPretrained, allow_training_state  # noqa: E402  after the check, whose message is clearer
from .config_files import config_file  # noqa: E402
from .datasets import LoadPanopticSegments, ObjectCrops, SmallImages  # noqa: E402
from .engine import CheckFixedNormHook, PanopticQuality, StopGradClipHook, TopAccuracy  # noqa: E402
from .models import Classifier, Fish, FishNet, FishNeXt, Score, ZeroInitResidual  # noqa: E402

allow_training_state()

__all__ = [
    'CheckFixedNormHook',
    'Classifier',
    'Fish',
    'FishNeXt',
    'FishNet',
    'FishNetPretrained',
    'LoadPanopticSegments',
    'ObjectCrops',
    'PanopticQuality',
    'Score',
    'SmallImages',
    'StopGradClipHook',
    'TopAccuracy',
    'ZeroInitResidual',
    '__version__',
    'config_file',
]
