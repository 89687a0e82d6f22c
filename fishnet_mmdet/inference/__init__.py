"""A trained model on single images: what it predicts, drawn and as data. It knows no command and no folder of images."""

from .predictor import Predictor
from .trained import TRAINED, find_model

__all__ = ['TRAINED', 'Predictor', 'find_model']
