"""The networks: what FishNet computes, its variants, and the names that other releases gave its weights."""

from .classification import CNN, MLP, ClassificationHead, Classifier, LinearHead, MobileNet
from .fish import Fish
from .fishnet import FROM_SCRATCH, Features, FishNet, FishNeXt, untrained_frozen_norm
from .init import ZeroInitResidual
from .released import as_classifier_weights
from .variants import FISHES, FISHNEXTS, get_fish

__all__ = [
    'CNN',
    'FISHES',
    'FISHNEXTS',
    'FROM_SCRATCH',
    'MLP',
    'ClassificationHead',
    'Classifier',
    'Features',
    'Fish',
    'FishNeXt',
    'FishNet',
    'LinearHead',
    'MobileNet',
    'ZeroInitResidual',
    'as_classifier_weights',
    'get_fish',
    'untrained_frozen_norm',
]
