"""A ResNet in any config becomes a FishNet: where to look, what to change, and the file that says so."""

from .conversion import Changes, fishify

__all__ = ['Changes', 'fishify']
