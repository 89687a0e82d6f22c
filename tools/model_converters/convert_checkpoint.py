"""Extracts the FishNet of a checkpoint: python tools/model_converters/convert_checkpoint.py FILE OUT"""

import sys

from fishnet_mmdet.__main__ import main

if __name__ == '__main__':
    main(['convert', *sys.argv[1:]])
