"""The network."""

from .fish import FISHES, Fish
from .fishnet import Features, FishNet
from .score import Score

__all__ = ['FISHES', 'Features', 'Fish', 'FishNet', 'Score']
