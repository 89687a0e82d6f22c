"""Checkpoints: reading them safely, recognising what they hold, and the released models' format."""

from .fitting import check_fits
from .pretrained import FROM_SCRATCH, FishNetPretrained, check_pretrained
from .reading import allow_training_state, read_checkpoint
from .released import as_classifier_weights

__all__ = [
    'FROM_SCRATCH',
    'FishNetPretrained',
    'allow_training_state',
    'as_classifier_weights',
    'check_fits',
    'check_pretrained',
    'read_checkpoint',
]
