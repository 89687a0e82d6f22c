# ResNet-50 under FishNet's recipe: 23.78 % top-1 error in the paper (Figure 4) with pre-activation, which mmdet's has not.
_base_ = './_base_/imagenet.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=50,
        out_indices=(3,),
        frozen_stages=-1,
        norm_eval=False,
    ),
    cls_head=dict(_delete_=True, type='LinearHead', in_channels=2048, num_classes=1000),
)
