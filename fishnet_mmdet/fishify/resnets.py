"""What mmdet's ResNets do: the levels, strides and channels that their config stands for."""

from itertools import accumulate
from operator import mul
from typing import List, Mapping

from ..engine.config_tree import type_of

#: ResNet, and the networks that mmdet derives from it. They output the same levels, and name them in the same way.
RESNETS = ('ResNet', 'ResNetV1d', 'ResNeXt', 'Res2Net', 'ResNeSt', 'RegNet', 'DetectoRS_ResNet', 'DetectoRS_ResNeXt')
#: Defaults of these networks, by the package of the class.
DEFAULTS = {
    'mmdet': dict(out_indices=(0, 1, 2, 3), norm_eval=True),
    'mmpretrain': dict(out_indices=(3,), norm_eval=False),
}
#: Arguments that FishNet has too, and arguments that only select the ResNet. Every other argument that is lost is reported.
UNDERSTOOD = (
    *('type', 'depth', 'in_channels', 'out_indices', 'frozen_stages', 'norm_cfg', 'norm_eval', 'with_cp', 'init_cfg'),
    *('pretrained', 'arch', 'style', 'num_stages', 'strides', 'dilations', 'stem_channels', 'base_channels', 'deep_stem'),
    *('avg_down', 'groups', 'base_width', 'scales', 'radix', 'reduction_factor', 'avg_down_stride', 'zero_init_residual'),
    *('output_img', 'stage_with_dcn', 'stage_with_sac'),
)


def is_resnet(module: Mapping) -> bool:
    """Whether FishNet can replace a module."""
    name, package = type_of(module)
    return name in RESNETS and package in DEFAULTS


def argument(resnet: Mapping, name: str):
    """``out_indices`` or ``norm_eval`` of a ResNet, or its default."""
    return resnet.get(name, DEFAULTS[type_of(resnet)[1]][name])


def strides_of(resnet: Mapping) -> List[int]:
    """Stride of each stage."""
    return [4 * stride for stride in accumulate(resnet.get('strides', (1, 2, 2, 2)), mul)]


def channels_of(resnet: Mapping) -> List[int]:
    """Channels of each output."""
    expansion = 1 if resnet.get('depth') in (18, 34) else 4
    return [resnet.get('base_channels', 64) * expansion * 2**level for level in argument(resnet, 'out_indices')]
