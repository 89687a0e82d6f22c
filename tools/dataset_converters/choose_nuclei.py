"""Copies a part of the nuclei of the 2018 Data Science Bowl: python tools/dataset_converters/choose_nuclei.py SOURCE OUT"""

import sys

from fishnet_mmdet.__main__ import main

if __name__ == '__main__':
    main(['choose_nuclei', *sys.argv[1:]])
