# `make demo`, pretraining: FishNet-150 learns to tell crops around a nucleus from crops around a point of the background.
_base_ = '../classification/_base_/small_images.py'

classes = ('nucleus', 'background')
data_root = 'demo/nuclei/'
epochs = 1
size = 64

model = dict(
    type='Classifier',
    data_preprocessor=dict(
        type='ImgDataPreprocessor',
        # As the detector's: what is learned on one normalisation is used on the same.
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='FishNet',
        depth=150,
        out_indices=(3,),
        frozen_stages=-1,
        norm_cfg=dict(type='BN'),
        norm_eval=False,
        init_cfg=[
            dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu'),
            dict(type='Constant', layer='_BatchNorm', val=1, bias=0),
            dict(type='ZeroInitResidual'),
        ],
    ),
    cls_head=dict(type='ClassificationHead', num_classes=len(classes)),
)

crops = dict(
    type='ObjectCrops',
    data_root=data_root,
    metainfo=dict(classes=classes),
    context=2.5,
    background='background',
    per_image=16,
)
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        pipeline=[
            dict(type='RandomResizedCrop', size=size, area=(0.6, 1.0)),
            dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
            dict(type='PackInputs'),
        ],
        **crops,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='val/'),
        pipeline=[dict(type='Resize', scale=(size, size)), dict(type='PackInputs')],
        **crops,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator

# Before torch 2.4 the fused optimizer runs on GPUs alone.
fused = __import__('torch').__version__ >= (2, 4)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.01, fused=fused))
train_cfg = dict(max_epochs=epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / 16, by_epoch=False, begin=0, end=10),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=epochs, T_max=epochs, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=16)
default_hooks = dict(logger=dict(interval=10))
