# FishNeXt-201 in Mask R-CNN. No pretrained weights were released: train configs/classification/fishnext201_imagenet.py.
_base_ = '../mask_rcnn_fishnet150_fpn.py'

model = dict(
    backbone=dict(
        type='FishNeXt',
        depth=201,
        init_cfg=dict(checkpoint='work_dirs/fishnext201_imagenet/epoch_100.pth'),
    )
)
