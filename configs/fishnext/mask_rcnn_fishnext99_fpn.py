# FishNeXt-99 in Mask R-CNN. No pretrained weights were released: train configs/classification/fishnext99_imagenet.py.
_base_ = '../mask_rcnn_fishnet150_fpn.py'

model = dict(
    backbone=dict(
        type='FishNeXt',
        depth=99,
        init_cfg=dict(checkpoint='work_dirs/fishnext99_imagenet/epoch_100.pth'),
    )
)
