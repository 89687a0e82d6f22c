# FishNet-150 in Cascade Mask R-CNN. With FishNeXt-150: model.backbone.type=FishNeXt, and its own checkpoint.
_base_ = './_base_/cascade_mask_rcnn_fpn.py'

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
