# FishNet-150 on ImageNet-1k: 21.93 % top-1 error in the paper, 21.86 % as released.
_base_ = './_base_/imagenet.py'
