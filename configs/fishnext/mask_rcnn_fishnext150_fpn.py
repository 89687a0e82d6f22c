# FishNeXt-150 in Mask R-CNN. No pretrained weights were released: train configs/classification/fishnext150_imagenet.py.
_base_ = '../mask_rcnn_fishnet150_fpn.py'

model = dict(
    backbone=dict(
        type='FishNeXt',
        depth=150,
        init_cfg=dict(checkpoint='work_dirs/fishnext150_imagenet/epoch_100.pth'),
    )
)
