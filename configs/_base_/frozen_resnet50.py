# ResNet-50 with frozen BN and a frozen first convolution, as FishNet has them in detection (section 4.4). A config takes it by
# `model = _base_.frozen_resnet50`.
custom_imports = dict(imports=['fishnet_mmdet'], allow_failed_imports=False)

frozen_resnet50 = dict(backbone=dict(frozen_stages=0, norm_cfg=dict(requires_grad=False), norm_eval=True))
