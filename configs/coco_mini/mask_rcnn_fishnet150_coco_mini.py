# Overfits a few images of COCO. A detector must have a high AP on its own training images, or the names, masks, crowds or
# sizes are read wrongly. Images and neck are small, so that a CPU trains it in an hour. Results: docs/results.md.
_base_ = ['../_base_/mask_rcnn_fpn.py', '../_base_/fishnet150.py']

# A few images of train2017 with their annotations, in COCO's layout.
data_root = 'data/coco-mini/'
checkpoint = 'work_dirs/nuclei/classifier_fishnet150/epoch_4.pth'
scale = (320, 320)
width = 128
epochs = 60

model = dict(
    backbone=dict(_base_.fishnet150.backbone, init_cfg=dict(type='FishNetPretrained', checkpoint=checkpoint)),
    neck=dict(_base_.fishnet150.neck, out_channels=width),
    rpn_head=dict(in_channels=width, feat_channels=width, anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=width),
        bbox_head=dict(in_channels=width, fc_out_channels=4 * width),
        mask_roi_extractor=dict(out_channels=width),
        mask_head=dict(in_channels=width, conv_out_channels=width),
    ),
    train_cfg=dict(rpn=dict(allowed_border=-1), rpn_proposal=dict(max_per_img=500), rcnn=dict(sampler=dict(num=128))),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
ann_file = 'annotations/instances_train2017.json'
images = dict(data_root=data_root, ann_file=ann_file, data_prefix=dict(img='train2017/'))
train_dataloader = dict(batch_size=2, num_workers=1, dataset=dict(pipeline=train_pipeline, **images))
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=test_pipeline, **images))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + ann_file)
test_evaluator = val_evaluator

# Before torch 2.4 the fused optimizer runs on GPUs alone.
fused = __import__('torch').__version__ >= (2, 4)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=3e-4, weight_decay=0.05, fused=fused))
# Clipping does not end after 2 epochs, as it does in paper.py.
custom_hooks = [dict(type='CheckFrozenNormHook')]
auto_scale_lr = dict(enable=False, base_batch_size=2)
train_cfg = dict(max_epochs=epochs, val_interval=10)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=epochs, T_max=epochs, convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(interval=5, max_keep_ckpts=1))
