"""Mixed precision where there is no GPU."""

from contextlib import ExitStack, contextmanager
from typing import Iterator

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.roi_heads.roi_extractors.base_roi_extractor import BaseRoIExtractor
from mmengine.optim import OptimWrapper
from torch import nn

from ..registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Runs the forward pass of training in bfloat16 on the CPU; weights, losses and positions in the image in float32.

    mmengine's ``AmpOptimWrapper`` wants a GPU. bfloat16 has the range of float32, so no loss needs to be scaled. It has 8
    significant bits, so that a coordinate above 128 pixels is rounded to a whole pixel, and one above 1024 to 8 pixels.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The context of the forward pass."""
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16), _positions_in_float32(model):
            yield


@contextmanager
def _positions_in_float32(model: nn.Module) -> Iterator[None]:
    """Gives RoI extractors float32 features, and turns the outputs of dense heads into float32.

    mmdet converts boxes to the dtype of the features, and the points of heads without anchors to the dtype of the outputs.
    """
    with ExitStack() as hooks:
        for module in model.modules():
            if isinstance(module, BaseRoIExtractor):
                hooks.callback(module.register_forward_pre_hook(lambda _, inputs: _in_float32(inputs)).remove)
            elif isinstance(module, BaseDenseHead):
                hooks.callback(module.register_forward_hook(lambda _, __, outputs: _in_float32(outputs)).remove)
        yield


def _in_float32(value):
    """The same with float32 instead of bfloat16, in lists and tuples too."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_in_float32, value))
    return value.float() if isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16 else value
