# FishNet-150 as a classifier of CIFAR-10: the first stage of mask_rcnn_fishnet150_nuclei_pretrained.py.
_base_ = './_base_/cifar10_64.py'

model = dict(
    backbone=dict(type='FishNet', depth=150, out_indices=(3,), frozen_stages=-1, norm_cfg=dict(type='BN'), norm_eval=False),
    cls_head=dict(type='ClassificationHead', num_classes=10),
)
work_dir = 'work_dirs/nuclei/classifier_fishnet150'
