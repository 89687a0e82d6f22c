"""Random initialisation for training a detector from scratch."""

import torch.nn as nn
from mmengine.registry import WEIGHT_INITIALIZERS

from .units import ResidualUnit


@WEIGHT_INITIALIZERS.register_module()
class ZeroInitResidual:
    """Lets every residual unit start as its shortcut, by a zero last convolution: ``dict(type='ZeroInitResidual')``.

    The fish then starts as its concatenations, additions and poolings, through which the image's details reach the head
    undisturbed, and learns its units from there. Goyal et al. (arXiv:1706.02677, section 5.1) start ResNets so, as mmdet
    does; it follows the random initialisation of the other weights in the list of ``init_cfg``.
    """

    def __call__(self, module: nn.Module) -> None:
        """Sets the last convolutions of the units in ``module``."""
        for unit in module.modules():
            if isinstance(unit, ResidualUnit):
                nn.init.zeros_(unit.conv3.weight)

    def _get_init_info(self) -> str:
        return f'{type(self).__name__}: zero'
