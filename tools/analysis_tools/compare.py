"""Trains detectors with several seeds and tabulates their AP: python tools/analysis_tools/compare.py CONFIG ... --out FILE"""

import sys

from fishnet_mmdet.__main__ import main

main(['compare', *sys.argv[1:]])
