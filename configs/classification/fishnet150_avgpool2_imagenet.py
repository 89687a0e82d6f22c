# FishNet-150 with average-pooling 2x2 in tail and head: 22.86 % top-1 error in the paper (Table 2).
_base_ = './_base_/imagenet.py'

model = dict(backbone=dict(arch=dict(down='avgpool2')))
