"""The option ``--data`` of the train command: the user's own images in any config."""

from .own_data import use_own_data
from .saving import check_inheritable, data_name, save_config

__all__ = ['check_inheritable', 'data_name', 'save_config', 'use_own_data']
