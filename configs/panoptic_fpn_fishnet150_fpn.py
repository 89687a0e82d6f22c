# FishNet-150 in Panoptic FPN, for the things and stuff of COCO. It needs "2017 Panoptic Train/Val annotations"
# (cocodataset.org/#download): annotations/panoptic_{train,val}2017.json, and beside them the PNG folders of the same
# names, which are zip files inside the download.
_base_ = ['./_base_/panoptic_fpn.py', './_base_/fishnet150.py']

model = _base_.fishnet150
