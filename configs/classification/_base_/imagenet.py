# ImageNet-1k and FishNet's recipe for it. In quotes: section 4.1 of FishNet, NeurIPS 2018 (arXiv:1901.03495); "released"
# is what came with the released models, https://github.com/kevin-ssy/FishNet.
_base_ = './runtime.py'

model = dict(
    type='Classifier',
    # "converting the value of each pixel into the interval [0, 1], and then subtracting the mean and dividing the variance for
    # each channel of the RGB"; here in steps of 1/255
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    # A depth with a number of stages other than 3 needs other out_indices: the last feature.
    backbone=dict(type='FishNet', depth=150, out_indices=(3,), frozen_stages=-1, norm_cfg=dict(type='BN'), norm_eval=False),
    cls_head=dict(type='ClassificationHead', num_classes=1000),
    label_smoothing=0.0,
)

# data_root/train/CLASS/*.JPEG and data_root/val/CLASS/*.JPEG
data_root = 'data/imagenet/'
# Released: area 8 to 100 %, aspect 3/4 to 4/3, "random crop, horizontal flip and standard color augmentation [17]" with 0.1.
# Resizing by pillow, as the released code's torchvision does it: OpenCV's bilinear skips pixels where it shrinks. It takes
# 0.65 ms an image more; where reading does not keep up (benchmark_data shows it), backend='cv2' in the crop helps first.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', size=224, area=(0.08, 1.0), aspect=(3 / 4, 4 / 3), backend='pillow'),
    dict(type='PCALighting', std=0.1),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]
# "an image region of size 224x224 is cropped from the center of an input image with its shorter side being resized to 256"
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeShortestEdge', scale=256, backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]
# "batch size 256": 8 GPUs with 32 images each
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    # Also because new workers would draw the same random numbers in every epoch.
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='ImageFolder', data_root=data_root, data_prefix=dict(img='train/'), num_classes=1000, pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='ImageFolder',
        data_root=data_root,
        data_prefix=dict(img='val/'),
        num_classes=1000,
        same_classes_as='train/',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator

# "stochastic gradient descent (SGD) as the training optimizer with the base learning rate set to 0.1. The weight decay and
# momentum are 10^-4 and 0.9"; released: the decay is on all weights and biases, those of BN too
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
auto_scale_lr = dict(enable=False, base_batch_size=256)
# "for 100 epochs, and the learning rate is decreased by 10 times every 30 epochs"
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, begin=0, end=100, milestones=[30, 60, 90], gamma=0.1)]
