# FishNet-150 with max-pooling 3x3 in tail and head: 22.51 % top-1 error in the paper (Table 2).
_base_ = './_base_/imagenet.py'

model = dict(backbone=dict(arch=dict(down='maxpool3')))
