# ResNeXt-50 32x4d in Faster R-CNN with FPN under exactly FishNet's schedule: 39.3 box AP by the paper's authors (Table 3).
_base_ = './faster_rcnn_r50_fpn.py'

model = dict(
    backbone=dict(
        type='ResNeXt',
        groups=32,
        base_width=4,
        init_cfg=dict(checkpoint='open-mmlab://resnext50_32x4d'),
    )
)
