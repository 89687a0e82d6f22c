# FishNet-150 from scratch on the whole set of nuclei. Results: docs/results.md.
_base_ = './_base_/scratch.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='FishNet',
        depth=150,
        init_cfg=[
            dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu'),
            dict(type='Constant', layer='_BatchNorm', val=1, bias=0),
            dict(type='ZeroInitResidual'),
        ],
        **_base_.trained_norm,
    ),
    neck=dict(in_channels=[320, 832, 1600, 2112]),
)
