# FishNet-55 with the features of tail and body concatenated as they are, without T.
_base_ = './fishnet55_cifar10.py'

model = dict(backbone=dict(arch=dict(body_transfers=(0, 0), head_transfers=(0, 0))))
