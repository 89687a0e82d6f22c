# FishNet-150 in Faster R-CNN with FPN. Published (paper, Table 3, column "FPN"): 40.6 box AP on COCO val2017.
_base_ = ['./_base_/faster_rcnn_fpn.py', './_base_/fishnet150.py']

model = _base_.fishnet150
