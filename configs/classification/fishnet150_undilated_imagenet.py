# FishNet-150 without dilation: 0.13 points more top-1 error than with it in the body (section 4.3).
_base_ = './_base_/imagenet.py'

model = dict(backbone=dict(arch=dict(body_dilations=(1, 1, 1))))
