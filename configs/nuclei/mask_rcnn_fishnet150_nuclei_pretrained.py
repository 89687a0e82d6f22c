# FishNet-150 on the whole set of nuclei, with the weights of classifier_fishnet150_cifar10_64.py and frozen BN as on COCO.
_base_ = './mask_rcnn_fishnet150_nuclei.py'

checkpoint = 'work_dirs/nuclei/classifier_fishnet150/epoch_4.pth'
model = dict(
    backbone=dict(_delete_=True, type='FishNet', depth=150, init_cfg=dict(type='FishNetPretrained', checkpoint=checkpoint))
)
