# FishNet-150 in Cascade Mask R-CNN.
_base_ = ['./_base_/cascade_mask_rcnn_fpn.py', './_base_/fishnet150.py']

model = _base_.fishnet150
