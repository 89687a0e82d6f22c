"""Counts, timing, curves and drawings: what the commands compute and show."""
