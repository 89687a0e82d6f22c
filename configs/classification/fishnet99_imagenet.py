# FishNet-99 on ImageNet-1k: 22.59 % top-1 error as released.
_base_ = './_base_/imagenet.py'

model = dict(backbone=dict(depth=99))
