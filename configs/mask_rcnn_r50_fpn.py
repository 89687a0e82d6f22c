# ResNet-50 in Mask R-CNN under exactly FishNet's schedule: 34.7 mask AP and 38.7 box AP by the paper's authors (Table 3).
_base_ = './_base_/mask_rcnn_fpn.py'

custom_imports = dict(imports=['fishnet_mmdet'], allow_failed_imports=False)

# Fixed BN and a fixed first convolution, as for FishNet (section 4.4).
model = dict(backbone=dict(frozen_stages=0, norm_cfg=dict(requires_grad=False), norm_eval=True))
