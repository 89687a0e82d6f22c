"""Mixed precision where there is no GPU."""

from contextlib import contextmanager
from typing import Iterator

import torch
from mmengine.optim import OptimWrapper

from ..registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Runs the forward pass of training in bfloat16 on the CPU, weights and losses in float32.

    mmengine's ``AmpOptimWrapper`` wants a GPU. bfloat16 has the range of float32, so no loss needs to be scaled.
    """

    @contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[None]:
        """The context of the forward pass."""
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield
