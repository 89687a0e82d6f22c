# Training without pretrained weights: all of the backbone is trained, BN included, since fixed BN diverges on random weights.
_base_ = './mask_rcnn_fishnet150_fpn.py'

# As mmdet's own configs for training from scratch (He et al. 2019, arXiv:1811.08883), neck and mask head are normalised too:
# the head's features come without a last normalisation, and large on random weights.
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
# The gradients of random weights stay large after the first epochs: clipping does not end.
custom_hooks = []
