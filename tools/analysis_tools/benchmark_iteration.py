"""Times whole iterations of configs side by side: python tools/analysis_tools/benchmark_iteration.py CONFIG"""

import sys

from fishnet_mmdet.__main__ import main

# Its processes import this file again.
if __name__ == '__main__':
    main(['benchmark_iteration', *sys.argv[1:]])
