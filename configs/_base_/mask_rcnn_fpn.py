# Mask R-CNN with FPN under the paper's schedule, on COCO; the backbone is for the configs that inherit this.
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    'mmdet::_base_/datasets/coco_instance.py',
    'mmdet::_base_/default_runtime.py',
    './paper.py',
]

model = dict(
    rpn_head=_base_.detectron_rpn_head,
    roi_head=dict(
        bbox_roi_extractor=_base_.detectron_roi_extractor,
        bbox_head=_base_.detectron_bbox_head,
        mask_roi_extractor=_base_.detectron_roi_extractor,
    ),
    train_cfg=_base_.detectron_train_cfg,
)
train_dataloader = dict(batch_size=_base_.batch_size_per_gpu)
