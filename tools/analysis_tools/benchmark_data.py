"""Measures how fast the training data of a config is read: python tools/analysis_tools/benchmark_data.py CONFIG"""

import sys

from fishnet_mmdet.__main__ import main

main(['benchmark_data', *sys.argv[1:]])
