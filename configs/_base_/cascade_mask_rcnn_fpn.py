# Cascade Mask R-CNN with FPN: mmdet's heads and thresholds, the paper's schedule, on COCO.
_base_ = [
    'mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py',
    'mmdet::_base_/datasets/coco_instance.py',
    'mmdet::_base_/default_runtime.py',
    './paper.py',
]

train_dataloader = dict(batch_size=_base_.batch_size_per_gpu)
