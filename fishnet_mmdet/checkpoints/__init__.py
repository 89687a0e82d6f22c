"""Checkpoints: reading them safely, and the released models' format."""

from .pretrained import FROM_SCRATCH, FishNetPretrained, check_pretrained
from .reading import allow_training_state, read_checkpoint

__all__ = ['FROM_SCRATCH', 'FishNetPretrained', 'allow_training_state', 'check_pretrained', 'read_checkpoint']
