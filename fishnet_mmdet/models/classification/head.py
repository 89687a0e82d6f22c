"""The classifier's last layers."""

from functools import partial
from typing import List, Mapping, Optional, Sequence, Union

import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from ...errors import FishNetError
from ...registry import MODELS
from ..fused import norm_relu, norm_relu_conv
from ..units import build_norm


@MODELS.register_module()
class ClassificationHead(BaseModule):
    """Classification head of the released models: from F10 to the logits of the classes.

    Args:
        in_channels (int): Channels of the last feature, 2112 for the released depths.
        num_classes (int): Number of classes.
        dense_size (Sequence[int], optional): Height and width of the last feature, for the head of small images: a dense
            layer on the flattened feature, without pooling. None: pooling and a 1x1 convolution.
        norm_cfg (Mapping): Normalisation layer.
        fused (bool): Whether the fast path may run (:mod:`fishnet_mmdet.models.fused`).
        init_cfg (dict | list[dict], optional): Initialisation. The default is the released models' random one.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int = 1000,
        dense_size: Optional[Sequence[int]] = None,
        norm_cfg: Mapping = dict(type='BN'),
        fused: bool = True,
        init_cfg: Union[dict, List[dict], None] = None,
    ) -> None:
        if init_cfg is None:
            # As the released models' last layer of 1000 classes: for few classes, their rule would give large logits.
            last = dict(type='Normal', name='conv2', std=(2 / 1000) ** 0.5)
            init_cfg = dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu', override=last)
        super().__init__(init_cfg)
        norm = partial(build_norm, norm_cfg)
        self.fused = fused
        self.dense_size = dense_size and tuple(dense_size)
        self.norm1 = norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, in_channels // 2, 1, bias=False)
        self.norm2 = norm(in_channels // 2)
        # A dense layer on a flattened feature is a convolution of the feature's size.
        self.conv2 = nn.Conv2d(in_channels // 2, num_classes, self.dense_size or 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) to (n, num_classes).

        Raises:
            FishNetError: If (h, w) is not ``dense_size``, where that is given.
        """
        if self.dense_size and x.shape[-2:] != self.dense_size:
            raise FishNetError(
                f'the last feature has size {tuple(x.shape[-2:])}, but the dense classification head was built for '
                f'{self.dense_size}: set dense_size of cls_head to that of the feature, or resize the images'
            )
        x = norm_relu(self.norm2, norm_relu_conv([(self.norm1, self.conv1)], x, self.fused))
        if not self.dense_size:
            x = F.adaptive_avg_pool2d(x, 1)
        return self.conv2(x).flatten(1)
