# The demo's detector from random weights, to see what its pretraining is worth.
_base_ = './mask_rcnn_fishnet150_shapes.py'

# All that mask_rcnn_fishnet150_fpn_scratch.py changes.
norm_cfg = dict(type='GN', num_groups=32, requires_grad=True)
model = dict(
    backbone=dict(
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        frozen_stages=-1,
        init_cfg=[
            dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu'),
            dict(type='Constant', layer='_BatchNorm', val=1, bias=0),
            dict(type='ZeroInitResidual'),
        ],
    ),
    neck=dict(norm_cfg=norm_cfg),
    roi_head=dict(mask_head=dict(norm_cfg=norm_cfg)),
)
custom_hooks = []
