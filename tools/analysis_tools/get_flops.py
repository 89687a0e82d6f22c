"""Counts what backbones cost: python tools/analysis_tools/get_flops.py [NETWORK or CONFIG ...]"""

import sys

from fishnet_mmdet.__main__ import main

main(['stats', *sys.argv[1:]])
