"""Evaluates a checkpoint: python tools/test.py CONFIG CHECKPOINT --eval bbox segm"""

import sys

from fishnet_mmdet.__main__ import main

if __name__ == '__main__':
    main(['test', *sys.argv[1:]])
