"""Lists and downloads published weights: python tools/model_converters/weights.py [NAME]"""

import sys

from fishnet_mmdet.__main__ import main

if __name__ == '__main__':
    main(['weights', *sys.argv[1:]])
