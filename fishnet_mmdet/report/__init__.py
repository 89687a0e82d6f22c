"""A run as one static page: AP, curves, and images with truth beside predictions, drawn in the browser."""

from .inferred import check_predictions, write_predictions
from .site import Site
from .tested import TestReport

__all__ = ['Site', 'TestReport', 'check_predictions', 'write_predictions']
