"""When the plain modules must run although the network has ``fused=True``."""

from typing import Iterable

import torch
import torch.nn as nn
from torch import Tensor
from torch.autograd import forward_ad
from torch.fx import Proxy
from torch.nn.modules import module as global_hooks

try:
    from torch.compiler import is_compiling
except ImportError:  # torch before 2.3
    from torch._utils import is_compiling


def must_run_plain(x: Tensor, modules: Iterable[nn.Module] = ()) -> bool:
    """Whether something needs to see PyTorch's own operators, or needs the modules to be called.

    Args:
        x (Tensor): The input.
        modules (Iterable[nn.Module]): The modules that the fast path would compute without calling them.
    """
    return is_tracing(x) or is_transformed() or any(map(has_hooks, modules))


def has_hooks(module: nn.Module) -> bool:
    """Whether a module has hooks, which run only if it is called and may keep its input or output."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        # Those that profilers register for all modules at once.
        or global_hooks._global_forward_hooks
        or global_hooks._global_forward_pre_hooks
        or global_hooks._global_backward_hooks
        or global_hooks._global_backward_pre_hooks
    )


def is_tracing(x: Tensor) -> bool:
    """Whether torch.compile, torch.export, torch.jit.trace or torch.fx records the operators that are called.

    Args:
        x (Tensor): The input; torch.fx passes a Proxy.
    """
    return is_compiling() or torch.jit.is_tracing() or isinstance(x, Proxy)


def is_transformed() -> bool:
    """Whether torch.func or forward-mode differentiation is active. Neither supports our ``autograd.Function``."""
    # PyTorch has no public test for either.
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0
