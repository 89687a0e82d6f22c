# FishNet-55 with max-pooling 3x3 in tail and head (as Table 2 of the paper has it for FishNet-150).
_base_ = './fishnet55_cifar10.py'

model = dict(backbone=dict(arch=dict(down='maxpool3')))
