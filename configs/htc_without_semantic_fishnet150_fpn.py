# FishNet-150 in HTC without the semantic branch. It needs COCO's boxes and masks only.
_base_ = ['./_base_/htc_without_semantic.py', './_base_/fishnet150.py']

model = _base_.fishnet150
