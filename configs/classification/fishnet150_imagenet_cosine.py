# FishNet-150 on ImageNet-1k with a cosine schedule of 200 epochs and label smoothing: 20.65 % top-1 error as released.
_base_ = './_base_/imagenet.py'

model = dict(label_smoothing=0.1)
train_cfg = dict(max_epochs=200)
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=200, T_max=200)]
