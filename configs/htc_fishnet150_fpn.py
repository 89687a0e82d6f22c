# FishNet-150 in Hybrid Task Cascade, the detector of the winner of COCO's challenge 2018. It learns from COCO-Stuff too:
# stuffthingmaps/train2017/*.png beside train2017/, out of stuffthingmaps_trainval2017.zip (github.com/nightrome/cocostuff).
_base_ = './htc_without_semantic_fishnet150_fpn.py'
# Below _base_, by which mmengine tells its two styles of config apart.
from mmengine.hub import get_config  # noqa: E402

htc = get_config('mmdet::htc/htc_r50_fpn_1x_coco.py')
model = dict(
    data_preprocessor=dict(pad_seg=True),
    roi_head=dict(
        semantic_roi_extractor=htc.model.roi_head.semantic_roi_extractor,
        semantic_head=htc.model.roi_head.semantic_head,
    ),
)
train_pipeline = htc.train_pipeline
train_dataloader = dict(dataset=dict(data_prefix=htc.train_dataloader.dataset.data_prefix, pipeline=train_pipeline))
# What stays would be a setting of this config.
del htc
