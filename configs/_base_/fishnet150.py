# FishNet-150 as the backbone of a detector with FPN. A config takes it by `model = _base_.fishnet150`.
custom_imports = dict(imports=['fishnet_mmdet'], allow_failed_imports=False)

fishnet150 = dict(
    backbone=dict(
        _delete_=True,
        type='FishNet',
        depth=150,
        # The released weights, downloaded on first use: python -m fishnet_mmdet weights
        init_cfg=dict(type='FishNetPretrained', checkpoint='fishnet150'),
    ),
    neck=dict(in_channels=[320, 832, 1600, 2112]),
)
