# How the networks of docs/results.md are trained from scratch on the whole set of nuclei: the same for each backbone.
_base_ = '../../demo/_base_/nuclei.py'
custom_imports = dict(imports=['fishnet_mmdet'], allow_failed_imports=False)

# The 464 training and 100 validation images; the demo has a part of each.
data_root = 'data/nuclei/'
epochs = 12
norm = dict(type='GN', num_groups=16)

model = dict(neck=dict(norm_cfg=norm), roi_head=dict(mask_head=dict(norm_cfg=norm)))
trained_norm = dict(frozen_stages=-1, norm_cfg=dict(type='BN', requires_grad=True), norm_eval=False)
train_dataloader = dict(batch_size=2, dataset=dict(data_root=data_root, ann_file='instances_train.json'))
val_dataloader = dict(dataset=dict(data_root=data_root, ann_file='instances_val.json'))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'instances_val.json')
test_evaluator = val_evaluator

# Before torch 2.4 the fused optimizer runs on GPUs alone.
fused = __import__('torch').__version__ >= (2, 4)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=3e-4, weight_decay=0.05, fused=fused))
custom_hooks = []
train_cfg = dict(max_epochs=epochs, val_interval=2)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=epochs, T_max=epochs, convert_to_iter_based=True),
]
auto_scale_lr = dict(enable=False, base_batch_size=2)
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=1))
