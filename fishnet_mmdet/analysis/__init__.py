"""What networks cost and what training runs did: counts, timings, curves and drawings, as functions without printing."""
