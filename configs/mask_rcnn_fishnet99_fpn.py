_base_ = './mask_rcnn_fishnet150_fpn.py'

model = dict(backbone=dict(depth=99, init_cfg=dict(checkpoint='checkpoints/fishnet99_ckpt.tar')))
