# ResNeXt-50 32x4d in Mask R-CNN under FishNet's schedule: 35.7 mask AP and 40.0 box AP by the paper's authors (Table 3).
_base_ = './mask_rcnn_r50_fpn.py'

model = dict(
    backbone=dict(
        type='ResNeXt',
        groups=32,
        base_width=4,
        init_cfg=dict(checkpoint='open-mmlab://resnext50_32x4d'),
    )
)
