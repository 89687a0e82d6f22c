"""A trained model on single images: what it predicts, drawn and as data. It knows no command and no folder of images."""

from .exported import ENDING, ExportedPredictor
from .predictor import Predictor
from .trained import TRAINED, find_model
from .visualizer import ObjectVisualizer, draw_objects_clearly

__all__ = ['ENDING', 'TRAINED', 'ExportedPredictor', 'ObjectVisualizer', 'Predictor', 'draw_objects_clearly', 'find_model']
