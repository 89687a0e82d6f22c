"""Trains a model: python tools/train.py configs/mask_rcnn_fishnet150_fpn.py"""

import sys

from fishnet_mmdet.__main__ import main

if __name__ == '__main__':
    main(['train', *sys.argv[1:]])
