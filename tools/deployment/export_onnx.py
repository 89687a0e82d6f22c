"""Writes a whole detector to one ONNX file: python tools/deployment/export_onnx.py CONFIG CHECKPOINT -o model.onnx"""

import sys

from fishnet_mmdet.__main__ import main

main(['export_onnx', *sys.argv[1:]])
