# ResNet-50 in Faster R-CNN with FPN, trained as FishNet. Published by FishNet's authors (paper, Table 3): 38.0 box AP.
_base_ = ['../_base_/faster_rcnn_fpn.py', '../_base_/frozen_resnet50.py']

model = _base_.frozen_resnet50
