# ResNet-50 on the whole set of nuclei, with the weights of classifier_r50_cifar10_64.py. It freezes what FishNet freezes.
_base_ = './_base_/scratch.py'

model = dict(
    backbone=dict(
        depth=50,
        frozen_stages=0,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/nuclei/classifier_r50/epoch_4.pth', prefix='backbone.'),
    ),
)
