"""Tries FishNet in every config of mmdet with a ResNet: python tools/analysis_tools/compatibility.py -o DIR"""

import sys

from fishnet_mmdet.__main__ import main

if __name__ == '__main__':
    main(['compatibility', *sys.argv[1:]])
