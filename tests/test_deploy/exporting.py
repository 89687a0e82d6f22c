"""What the tests of the export share."""

import pytest
import torch

#: For modules that define PyTorch operators or write ONNX.
needs_exporter = pytest.mark.skipif(torch.__version__ < (2, 6), reason='the export needs torch 2.6 or newer')


def require_packages():
    """Skips a module of tests where a package is missing that writes or runs ONNX."""
    if torch.__version__ < (2, 6):
        pytest.skip('the export needs torch 2.6 or newer', allow_module_level=True)
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package, reason=f'{package} is missing: pip install -r requirements/dev.txt')
