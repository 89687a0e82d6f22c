# FishNet-150 with dilation in body and head: 0.1 points more top-1 error than without any (section 4.3). The paper does not
# tell the rates; these are the body's, at the same resolutions.
_base_ = './_base_/imagenet.py'

model = dict(backbone=dict(arch=dict(head_dilations=(4, 2, 1))))
