"""torchvision's compiled operators, where they are."""

import functools
from typing import Callable, Optional

import torch
from torch import Tensor


def torchvision_op(name: str, tensor: Tensor) -> Optional[Callable]:
    """torchvision's operator for a tensor on CUDA; None on other devices and where torchvision has none.

    On the CPU, the operators of this package are faster than torchvision's.
    """
    return _cuda_op(name) if tensor.is_cuda else None


@functools.cache
def _cuda_op(name):
    """An operator that has a CUDA kernel, or None."""
    try:
        import torchvision  # noqa: F401  optional; it registers its operators
    except Exception:  # beside another torch than it was built for, its import raises ImportError, RuntimeError or OSError
        return None
    if not torch._C._dispatch_has_kernel_for_dispatch_key(f'torchvision::{name}', 'CUDA'):
        return None
    return getattr(torch.ops.torchvision, name)
