# FishNet-150 in HTC without its semantic branch, for who has COCO's boxes and masks alone. With FishNeXt-150:
# model.backbone.type=FishNeXt, and its own checkpoint.
_base_ = './_base_/htc_without_semantic.py'

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
