_base_ = './mask_rcnn_fishnet150_fpn.py'

model = dict(backbone=dict(depth=201, init_cfg=dict(checkpoint='checkpoints/fishnet201_ckpt.tar')))
