"""A trained model on single images: what it predicts, drawn and as data. It knows no command and no folder of images."""

from .predictor import Predictor

__all__ = ['Predictor']
