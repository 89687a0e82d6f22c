# ResNet-50 in Mask R-CNN, trained as FishNet. Published by FishNet's authors (paper, Table 3): 34.7 mask AP, 38.7 box AP.
_base_ = ['../_base_/mask_rcnn_fpn.py', '../_base_/frozen_resnet50.py']

model = _base_.frozen_resnet50
