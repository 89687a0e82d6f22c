# Pretraining for the nuclei: classification of CIFAR-10 at twice its size, so that a stride of 32 leaves 2x2 cells.
# --cfg-options data_root=FOLDER_OR_FILE, as for the configs in classification/.
_base_ = ['../../classification/_base_/cifar10.py', '../../classification/_base_/small_images.py']

size = 64
epochs = 4
resize = dict(type='Resize', scale=(size, size))
train_pipeline = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomPadCrop', padding=4),
    resize,
    dict(type='PackInputs'),
]

model = dict(
    type='Classifier',
    # As the detector's: what is learned on one normalisation is used on the same.
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
)
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=100, dataset=dict(pipeline=[resize, dict(type='PackInputs')]))
test_dataloader = val_dataloader

# As the nuclei are trained.
fused = __import__('torch').__version__ >= (2, 4)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.05, fused=fused))
train_cfg = dict(max_epochs=epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=epochs, T_max=epochs, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=64)
