# The paper's schedule for detectors, where it differs from mmdet's defaults. In quotes: section 4.4 of FishNet, NeurIPS 2018
# (arXiv:1901.03495); [5] is Detectron, [6] Goyal et al. 2017 (arXiv:1706.02677). docs/paper.md lists what still differs.

# "a learning rate 0.02", "a weight decay of 0.0001 and a momentum of 0.9", "the gradients are clipped below a maximum
# hyper-parameter of 5.0 in the first 2 epochs"
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001),
    clip_grad=dict(max_norm=5.0, norm_type=2),
)
custom_hooks = [
    dict(type='StopGradClipHook', after_epochs=2),
    # "the batch-normalization layers in our network are all fixed": they need pretrained statistics
    dict(type='CheckFrozenNormHook'),
]

# "we trained all networks ... for 32 epochs"
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=32, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

param_scheduler = [
    # "A warming-up training process [6] is applied for 1 epoch": linear by iteration from lr/16, the rate of one GPU, to lr
    dict(type='LinearLR', start_factor=1 / 16, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    # "decreased by 10 at the 20 epoch and 28 epoch"
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=32, milestones=[20, 28], gamma=0.1),
]

# "on 16 GPUs with batch size 16 (one per GPU)"
batch_size_per_gpu = 1
auto_scale_lr = dict(enable=False, base_batch_size=16)

# "All other hyper-parameters used in experiments follow those in [5]". Where mmdet's defaults differ from Detectron's: smooth
# L1 instead of L1, 2000 proposals in training instead of 1000, no anchors across the border, two samples per RoI bin and side.
detectron_rpn_head = dict(
    type='fishnet_mmdet.BorderRPNHead',  # RPNHead, but images without an anchor inside do not stop training
    loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=1 / 9, loss_weight=1.0),
)
detectron_bbox_head = dict(loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=1.0, loss_weight=1.0))
detectron_roi_extractor = dict(roi_layer=dict(sampling_ratio=2))
detectron_train_cfg = dict(rpn=dict(allowed_border=0), rpn_proposal=dict(max_per_img=2000))
