# FishNet-150 with convolutions of stride 2 instead of pooling, in tail and head: 22.75 % top-1 error in the paper (Table 2).
_base_ = './_base_/imagenet.py'

model = dict(backbone=dict(arch=dict(down='conv')))
