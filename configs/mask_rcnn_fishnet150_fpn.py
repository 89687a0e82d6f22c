# FishNet-150 in Mask R-CNN. Published (paper, Table 3): 37.0 mask AP and 41.5 box AP on COCO val2017.
_base_ = ['./_base_/mask_rcnn_fpn.py', './_base_/fishnet150.py']

model = _base_.fishnet150
