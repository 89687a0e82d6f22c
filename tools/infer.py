"""Draws predictions on images: python tools/infer.py IMAGE_OR_FOLDER CONFIG CHECKPOINT --out-dir DIR"""

import sys

from fishnet_mmdet.__main__ import main

if __name__ == '__main__':
    main(['infer', *sys.argv[1:]])
