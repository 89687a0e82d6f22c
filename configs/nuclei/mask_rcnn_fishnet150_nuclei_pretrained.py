# FishNet-150 on the whole set of nuclei, with the weights of classifier_fishnet150_cifar10_64.py and frozen BN as on COCO.
_base_ = './_base_/scratch.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='FishNet',
        depth=150,
        init_cfg=dict(type='FishNetPretrained', checkpoint='work_dirs/nuclei/classifier_fishnet150/epoch_4.pth'),
    ),
    neck=dict(in_channels=[320, 832, 1600, 2112]),
)
