# Hybrid Task Cascade (Chen et al. 2019, arXiv:1901.07518) without its semantic branch, on COCO's boxes and masks: mmdet's
# heads and thresholds, the paper's schedule.
_base_ = [
    'mmdet::_base_/datasets/coco_instance.py',
    'mmdet::_base_/default_runtime.py',
    './paper.py',
]
# Below _base_, by which mmengine tells its two styles of config apart.
from mmengine.hub import get_config  # noqa: E402

# mmdet has this model only inside a config with a schedule of its own, and bases must not set the same things.
model = get_config('mmdet::htc/htc-without-semantic_r50_fpn_1x_coco.py').model
train_dataloader = dict(batch_size=_base_.batch_size_per_gpu)
