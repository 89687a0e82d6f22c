# ResNet-50 as a classifier of CIFAR-10: the first stage of mask_rcnn_r50_nuclei_pretrained.py.
_base_ = './_base_/cifar10_64.py'

model = dict(
    backbone=dict(
        type='mmdet.ResNet',
        depth=50,
        out_indices=(3,),
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
    ),
    cls_head=dict(type='LinearHead', in_channels=2048, num_classes=10),
)
work_dir = 'work_dirs/nuclei/classifier_r50'
