"""Trains models with several seeds and tabulates their scores: python tools/analysis_tools/compare.py CONFIG ... --out FILE"""

import sys

from fishnet_mmdet.__main__ import main

main(['compare', *sys.argv[1:]])
