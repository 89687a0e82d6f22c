# ResNeXt-50 32x4d under FishNet's recipe: 22.2 % top-1 error in the paper (Table 1).
_base_ = './resnet50_imagenet.py'

model = dict(backbone=dict(type='ResNeXt', groups=32, base_width=4))
