# Faster R-CNN with FPN ("FPN" in the paper's Table 3) under the paper's schedule, on COCO.
_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50_fpn.py',
    'mmdet::_base_/datasets/coco_detection.py',
    'mmdet::_base_/default_runtime.py',
    './paper.py',
]

model = dict(
    rpn_head=_base_.detectron_rpn_head,
    roi_head=dict(bbox_roi_extractor=_base_.detectron_roi_extractor, bbox_head=_base_.detectron_bbox_head),
    train_cfg=_base_.detectron_train_cfg,
)
train_dataloader = dict(batch_size=_base_.batch_size_per_gpu)
