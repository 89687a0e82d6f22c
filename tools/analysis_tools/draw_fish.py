"""Draws a fish from tail to head: python tools/analysis_tools/draw_fish.py [NETWORK or CONFIG]"""

import sys

from fishnet_mmdet.__main__ import main

main(['draw', *sys.argv[1:]])
