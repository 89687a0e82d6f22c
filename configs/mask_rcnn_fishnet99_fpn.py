# FishNet-99 in Mask R-CNN.
_base_ = './mask_rcnn_fishnet150_fpn.py'

model = dict(backbone=dict(depth=99, init_cfg=dict(checkpoint='fishnet99')))
