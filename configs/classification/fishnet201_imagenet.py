# FishNet-201 on ImageNet-1k: 21.24 % top-1 error as released.
_base_ = './_base_/imagenet.py'

model = dict(backbone=dict(depth=201))
