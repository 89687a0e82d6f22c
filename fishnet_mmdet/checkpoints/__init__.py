"""From a name, a URL or a file to the weights of a network.

It knows where checkpoints are, their formats and their names of tensors; it must not know data sets, runners or commands.
"""

from .matching import check_fits
from .mmengine_loader import read_files_in_mmengine, read_safetensors_in_mmengine
from .names import RELEASES
from .pretrained import FishNetPretrained, check_pretrained
from .reading import read_checkpoint
from .training_state import allow_training_state

__all__ = [
    'RELEASES',
    'FishNetPretrained',
    'allow_training_state',
    'check_fits',
    'check_pretrained',
    'read_checkpoint',
    'read_files_in_mmengine',
    'read_safetensors_in_mmengine',
]
