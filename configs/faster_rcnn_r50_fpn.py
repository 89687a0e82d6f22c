# ResNet-50 in Faster R-CNN with FPN under exactly FishNet's schedule: 38.0 box AP by the paper's authors (Table 3).
_base_ = './_base_/faster_rcnn_fpn.py'

custom_imports = dict(imports=['fishnet_mmdet'], allow_failed_imports=False)

# Fixed BN and a fixed first convolution, as for FishNet (section 4.4).
model = dict(backbone=dict(frozen_stages=0, norm_cfg=dict(requires_grad=False), norm_eval=True))
