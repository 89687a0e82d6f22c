"""The classifier's last layers."""

from functools import partial
from typing import List, Mapping, Optional, Sequence, Union

import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from ...errors import FishNetError
from ...registry import MODELS
from ..pre_activation import norm_relu, norm_relu_conv
from ..units import build_norm


@MODELS.register_module()
class ClassificationHead(BaseModule):
    """ClassificationHead of the released models: from F10 to the logits of the classes.

    Args:
        in_channels (int): Channels of the last feature, 2112 for the released depths.
        num_classes (int): Number of classes.
        dense_size (Sequence[int], optional): Height and width of the last feature, for the head of small images: a dense
            layer on the flattened feature in the place of pooling and 1x1 convolution. None: pooling.
        norm_cfg (Mapping): Normalisation layer.
        init_cfg (dict | list[dict], optional): Initialisation. The default is the released models' random one.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int = 1000,
        dense_size: Optional[Sequence[int]] = None,
        norm_cfg: Mapping = dict(type='BN'),
        init_cfg: Union[dict, List[dict], None] = None,
    ) -> None:
        if init_cfg is None:
            # The last layer as that of the released models' 1000 classes: with few classes, their rule makes large logits.
            last = dict(type='Normal', name='conv2', std=(2 / 1000) ** 0.5)
            init_cfg = dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu', override=last)
        super().__init__(init_cfg)
        norm = partial(build_norm, norm_cfg)
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
                f'the dense classification head was made for a last feature of {self.dense_size}, and the image gives '
                f'{tuple(x.shape[-2:])}: set dense_size of cls_head to that, or resize the images'
            )
        x = norm_relu(self.norm2, norm_relu_conv([(self.norm1, self.conv1)], x))
        if not self.dense_size:
            x = F.adaptive_avg_pool2d(x, 1)
        return self.conv2(x).flatten(1)
