# FishNet-150 in Panoptic FPN, things and stuff of COCO: needs annotations/panoptic_{train,val}2017.json and the folders of
# PNG of these names beside them ("2017 Panoptic Train/Val annotations" at cocodataset.org/#download; the PNG are zipped once
# more in it). With FishNeXt-150: model.backbone.type=FishNeXt, and its own checkpoint.
_base_ = './_base_/panoptic_fpn.py'

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
