# Training without pretrained weights: all of the backbone is trained, BN included, since fixed BN diverges on random weights.
# Neck and mask head are normalised too, as mmdet's own configs for training from scratch do (He et al. 2019,
# arXiv:1811.08883): the head's features come without a last normalisation, and large on random weights.
_base_ = './mask_rcnn_fishnet150_fpn.py'

norm_cfg = dict(type='GN', num_groups=32, requires_grad=True)
model = dict(
    backbone=dict(norm_cfg=dict(type='BN', requires_grad=True), norm_eval=False, frozen_stages=-1, init_cfg=None),
    neck=dict(norm_cfg=norm_cfg),
    roi_head=dict(mask_head=dict(norm_cfg=norm_cfg)),
)
