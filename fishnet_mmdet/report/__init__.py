"""A run as one static page: AP, curves, and images with truth beside predictions, drawn in the browser."""

from .facts import facts_of_exported_run, facts_of_run
from .inferred import check_predictions, write_predictions
from .site import Site
from .tested import TestReport

__all__ = ['Site', 'TestReport', 'check_predictions', 'facts_of_exported_run', 'facts_of_run', 'write_predictions']
