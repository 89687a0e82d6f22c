# Mask R-CNN without pretrained weights. The whole backbone is trained, BN included: frozen BN needs pretrained statistics.
# tools/train.py --from-scratch makes the same changes to any detector's config.
_base_ = '../mask_rcnn_fishnet150_fpn.py'

# The neck and the mask head are normalised too, as in mmdet's configs for training from scratch (He et al. 2019,
# arXiv:1811.08883): FishNet's outputs have no last normalisation, and are large on random weights.
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
# With random weights the gradients stay large after the first epochs, so clipping does not end.
custom_hooks = []
