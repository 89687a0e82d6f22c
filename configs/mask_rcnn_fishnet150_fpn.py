# FishNet-150 in Mask R-CNN: Table 3 of the paper, 37.0 mask AP and 41.5 box AP on COCO val2017.
_base_ = './_base_/mask_rcnn_fpn.py'

custom_imports = dict(imports=['fishnet_mmdet'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='FishNet',
        depth=150,
        init_cfg=dict(type='FishNetPretrained', checkpoint='checkpoints/fishnet150_ckpt.tar'),
    ),
    neck=dict(in_channels=[320, 832, 1600, 2112]),
)
