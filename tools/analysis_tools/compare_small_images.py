"""Trains the networks of the report's Table 4: python tools/analysis_tools/compare_small_images.py cifar10"""

import sys

from fishnet_mmdet.__main__ import main

main(['compare_small_images', *sys.argv[1:]])
