# FishNet-150 with one 7x7 convolution as stem. In the paper, two residual blocks in its place took 0.18 points off the top-1
# error (section 4.3); the released models have three 3x3 convolutions.
_base_ = './_base_/imagenet.py'

model = dict(backbone=dict(arch=dict(deep_stem=False)))
