"""Interim: only the names of the weights."""

RELEASES = dict.fromkeys(('fishnet99', 'fishnet150', 'fishnet150_welltrained', 'fishnet201', 'pytorchcv_fishnet150'))
