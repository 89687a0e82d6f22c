# ResNet-101 from scratch on the whole set of nuclei, for comparison. Results: docs/results.md.
_base_ = './_base_/scratch.py'

model = dict(backbone=dict(depth=101, init_cfg=None, **_base_.trained_norm))
