"""The networks."""

from .baselines import CNN, MLP, LinearScore, MobileNet
from .classifier import Classifier
from .fish import FISHES, FISHNEXTS, Fish
from .fishnet import Features, FishNet, FishNeXt
from .init import ZeroInitResidual
from .score import Score

__all__ = [
    'CNN',
    'FISHES',
    'FISHNEXTS',
    'MLP',
    'Classifier',
    'Features',
    'Fish',
    'FishNeXt',
    'FishNet',
    'LinearScore',
    'MobileNet',
    'Score',
    'ZeroInitResidual',
]
