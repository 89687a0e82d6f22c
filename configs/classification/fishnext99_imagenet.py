# FishNeXt-99 on ImageNet-1k, of which nothing was published: the row of FishNet-99, grouped.
_base_ = './_base_/imagenet.py'

model = dict(backbone=dict(type='FishNeXt', depth=99))
