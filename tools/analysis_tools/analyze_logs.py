"""Draws losses and scores of training runs: python tools/analysis_tools/analyze_logs.py WORK_DIR [WORK_DIR ...]"""

import sys

from fishnet_mmdet.__main__ import main

main(['curves', *sys.argv[1:]])
