# FishNet-201 in Mask R-CNN. Its only released weights are those of the long schedule (20.29 % top-1 error).
_base_ = './mask_rcnn_fishnet150_fpn.py'

model = dict(backbone=dict(depth=201, init_cfg=dict(checkpoint='fishnet201')))
