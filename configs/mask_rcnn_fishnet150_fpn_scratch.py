# Training without pretrained weights: everything is trained, BN included. Fixed BN would diverge on random weights.
_base_ = './mask_rcnn_fishnet150_fpn.py'

model = dict(
    backbone=dict(norm_cfg=dict(type='BN', requires_grad=True), norm_eval=False, frozen_stages=-1, init_cfg=None))
