# Our candidate for FishNeXt-229 on ImageNet-1k; see ../_base_/fishnext229.py.
_base_ = ['./_base_/imagenet.py', '../_base_/fishnext229.py']

model = dict(backbone=dict(type='FishNeXt', arch=_base_.fish))
