# FishNeXt-150 on ImageNet-1k: 21.5 % top-1 error in the paper (Table 1), never released.
_base_ = './_base_/imagenet.py'

model = dict(backbone=dict(type='FishNeXt'))
