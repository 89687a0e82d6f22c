"""The network."""

from .fish import FISHES, Fish
from .fishnet import Features, FishNet
from .init import ZeroInitResidual
from .score import Score

__all__ = ['FISHES', 'Features', 'Fish', 'FishNet', 'Score', 'ZeroInitResidual']
