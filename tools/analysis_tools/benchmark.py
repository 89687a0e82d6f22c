"""Compares time and memory of backbones: python tools/analysis_tools/benchmark.py [NETWORK ...] [--size HxW ...]"""

import sys

from fishnet_mmdet.__main__ import main

main(['benchmark', *sys.argv[1:]])
