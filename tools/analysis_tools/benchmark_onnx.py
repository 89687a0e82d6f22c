"""Times a checkpoint beside its model files: python tools/analysis_tools/benchmark_onnx.py CONFIG CHECKPOINT --models ..."""

import sys

from fishnet_mmdet.__main__ import main

if __name__ == '__main__':
    main(['benchmark_onnx', *sys.argv[1:]])
