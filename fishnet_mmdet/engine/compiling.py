"""torch.compile for the parts of a detector that are tensors in, tensors out."""

import os
import shutil
import sys

import torch
from torch import nn

from ..errors import FishNetError

#: What is compiled. The heads choose boxes with Python, between which little would be left to compile.
PARTS = ('backbone', 'neck')


def compile_parts(model: nn.Module) -> None:
    """Compiles backbone and neck at their first call: for one size of images, and at the next size for all others.

    With gradients on a CPU, PyTorch 2.13 compiles again for each new size of the deepest feature, eight times at most.

    Args:
        model (nn.Module): A detector or classifier, wrapped for several processes or not. Names of weights do not change.

    Raises:
        FishNetError: If PyTorch cannot compile here.
    """
    if not hasattr(nn.Module, 'compile'):
        raise FishNetError(f'--compile needs PyTorch 2.1 or newer, and {torch.__version__} is installed: leave it out')
    compiler = os.environ.get('CXX', {'darwin': 'clang++', 'win32': 'cl'}.get(sys.platform, 'g++'))
    if not torch.cuda.is_available() and not shutil.which(compiler):
        raise FishNetError(
            f'--compile on a CPU needs a compiler, and there is no {compiler}: install it, or leave --compile out'
        )
    while hasattr(model, 'module'):
        model = model.module
    for part in PARTS:
        if (module := getattr(model, part, None)) is not None:
            module.compile()
