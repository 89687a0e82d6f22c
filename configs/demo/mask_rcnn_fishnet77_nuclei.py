# The small detector `nuclei` that comes with the package: FishNet-77 with a stem of stride 4, trained from scratch on all
# nuclei but the repository's validation images:
# python tools/dataset_converters/choose_nuclei.py SOURCE data/nuclei_all --all
# python tools/train.py configs/demo/mask_rcnn_fishnet77_nuclei.py --amp --resume
_base_ = './_base_/nuclei.py'
custom_imports = dict(imports=['fishnet_mmdet'], allow_failed_imports=False)

epochs = 30
norm = dict(type='GN', num_groups=16)

model = dict(
    backbone=dict(
        _delete_=True,
        type='FishNet',
        depth=77,
        arch=dict(stem_stride=4),
        frozen_stages=-1,
        norm_cfg=dict(type='BN'),
        norm_eval=False,
        init_cfg=[
            dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu'),
            dict(type='Constant', layer='_BatchNorm', val=1, bias=0),
            dict(type='ZeroInitResidual'),
        ],
    ),
    neck=dict(in_channels=[80, 208, 400, 528], norm_cfg=norm),
    roi_head=dict(mask_head=dict(norm_cfg=norm)),
)
train_dataloader = dict(batch_size=4, dataset=dict(data_root='data/nuclei_all/'))

# Before torch 2.4 the fused optimizer runs on GPUs alone.
fused = __import__('torch').__version__ >= (2, 4)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.05, fused=fused))
custom_hooks = []
train_cfg = dict(max_epochs=epochs, val_interval=4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=2 * epochs // 3, end=epochs, convert_to_iter_based=True),
]
auto_scale_lr = dict(enable=False, base_batch_size=4)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=1, max_keep_ckpts=1))
randomness = dict(seed=0)
