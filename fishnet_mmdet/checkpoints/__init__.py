"""Checkpoints: reading them safely, recognising what they hold, and the released models' format."""

from .fitting import check_fits
from .pretrained import FishNetPretrained, check_pretrained
from .reading import allow_training_state, read_checkpoint

__all__ = [
    'FishNetPretrained',
    'allow_training_state',
    'check_fits',
    'check_pretrained',
    'read_checkpoint',
]
