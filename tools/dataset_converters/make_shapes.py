"""Generates a small COCO-format data set of textured shapes: python tools/dataset_converters/make_shapes.py OUT"""

import sys

from fishnet_mmdet.__main__ import main

if __name__ == '__main__':
    main(['make_shapes', *sys.argv[1:]])
