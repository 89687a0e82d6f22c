"""The memory layout in which a model computes."""

import torch
from torch import nn

from ..ops import installed


def compute_channels_last(model: nn.Module) -> nn.Module:
    """Gives the weights of convolutions the channels-last layout on a CPU, where they compute faster so.

    Every feature then has that layout, from the backbone to the masks. mmcv's compiled operators read such features wrongly
    (:mod:`fishnet_mmdet.models.fused`): where they are in effect, nothing changes. Checkpoints stay the same.

    Args:
        model (nn.Module): Any model.

    Returns:
        nn.Module: The same model.
    """
    if installed() and not torch.cuda.is_available():
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                module.to(memory_format=torch.channels_last)
    return model
