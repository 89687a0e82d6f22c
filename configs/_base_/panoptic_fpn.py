# Panoptic FPN (Kirillov et al. 2019, arXiv:1901.02446) on COCO: mmdet's heads and settings, the paper's schedule. Neither
# reading the data nor PQ needs panopticapi.
_base_ = [
    'mmdet::_base_/datasets/coco_panoptic.py',
    'mmdet::_base_/default_runtime.py',
    './paper.py',
]
# Below _base_, by which mmengine tells its two styles of config apart.
from mmengine.hub import get_config  # noqa: E402

# mmdet has this model only inside a config with a schedule of its own, and bases must not set the same things.
model = get_config('mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py').model

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='fishnet_mmdet.LoadPanopticSegments'),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='fishnet_mmdet.LoadPanopticSegments'),
    dict(
        type='PackDetInputs',
        # The last two are what PanopticQuality reads the truth from.
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'seg_map_path', 'segments_info'),
    ),
]
train_dataloader = dict(batch_size=_base_.batch_size_per_gpu, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='fishnet_mmdet.PanopticQuality')
test_evaluator = val_evaluator
