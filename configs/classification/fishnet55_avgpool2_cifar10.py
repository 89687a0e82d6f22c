# FishNet-55 with average-pooling 2x2 in tail and head (as Table 2 of the paper has it for FishNet-150).
_base_ = './fishnet55_cifar10.py'

model = dict(backbone=dict(arch=dict(down='avgpool2')))
