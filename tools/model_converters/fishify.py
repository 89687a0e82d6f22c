"""Puts FishNet into a config: python tools/model_converters/fishify.py CONFIG -o NEW_CONFIG"""

import sys

from fishnet_mmdet.__main__ import main

if __name__ == '__main__':
    main(['fishify', *sys.argv[1:]])
