# Our candidate for FishNeXt-229 in Mask R-CNN; see ../_base_/fishnext229.py. Pretrained by
# configs/classification/fishnext229_imagenet.py.
_base_ = ['../mask_rcnn_fishnet150_fpn.py', '../_base_/fishnext229.py']

model = dict(
    backbone=dict(
        type='FishNeXt',
        arch=_base_.fish,
        init_cfg=dict(checkpoint='work_dirs/fishnext229_imagenet/epoch_100.pth'),
    )
)
