"""Classifiers, which pretrain a backbone: backbone, classification head and loss, and the baselines of the report."""

from .baselines import CNN, MLP, LinearHead, MobileNet
from .classifier import Classifier
from .head import ClassificationHead

__all__ = ['CNN', 'MLP', 'ClassificationHead', 'Classifier', 'LinearHead', 'MobileNet']
