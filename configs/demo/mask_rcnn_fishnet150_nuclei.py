# `make demo`, detection: the main config, with the weights of the demo's pretraining, on images of cell nuclei, at a size and
# a length for two CPU cores.
_base_ = ['./_base_/nuclei.py', '../_base_/fishnet150.py']

model = _base_.fishnet150
model['backbone']['init_cfg']['checkpoint'] = 'work_dirs/demo/classifier/epoch_1.pth'

epochs = 8
train_dataloader = dict(batch_size=2)
# In a few hundred steps AdamW learns what takes SGD longer.
# Before torch 2.4 the fused optimizer runs on GPUs alone.
fused = __import__('torch').__version__ >= (2, 4)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.01, fused=fused))
train_cfg = dict(max_epochs=epochs, val_interval=2)
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / 16, by_epoch=False, begin=0, end=10),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=epochs, T_max=epochs, convert_to_iter_based=True),
]
auto_scale_lr = dict(enable=False, base_batch_size=2)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=epochs))
randomness = dict(seed=0)
