"""The networks: what FishNet computes, its variants, and the names that other releases gave its weights."""

from .classification import CNN, MLP, ClassificationHead, Classifier, LinearHead, MobileNet
from .fish import FISHES, FISHNEXTS, Fish
from .fishnet import FROM_SCRATCH, Features, FishNet, FishNeXt
from .init import ZeroInitResidual
from .released import as_classifier_weights

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
]
