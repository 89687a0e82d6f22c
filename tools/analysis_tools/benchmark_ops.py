"""Times our operators beside mmcv's compiled ones: python tools/analysis_tools/benchmark_ops.py"""

import sys

from fishnet_mmdet.__main__ import main

if __name__ == '__main__':
    main(['benchmark_ops', *sys.argv[1:]])
