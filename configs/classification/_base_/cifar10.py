# CIFAR-10 in its batches for Python, or an archive of JPEGs: --cfg-options data_root=FOLDER_OR_FILE.
data_root = 'data/cifar10'
train_pipeline = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomPadCrop', padding=4),
    dict(type='PackInputs'),
]
dataset = dict(type='SmallImages', data_root=data_root, num_classes=10)
train_dataloader = dict(
    batch_size=128,
    num_workers=1,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(split='train', pipeline=train_pipeline, **dataset),
)
val_dataloader = dict(
    batch_size=250,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(split='test', pipeline=[dict(type='PackInputs')], **dataset),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy')
test_evaluator = val_evaluator
