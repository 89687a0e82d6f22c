"""The networks that are counted, timed and drawn: FishNet's variants, mmdet's backbones, and the backbone of any config."""

from pathlib import Path
from typing import Dict, NamedTuple, Optional

import torch.nn as nn
from mmdet.registry import MODELS

from ..engine.configs import read_config
from ..errors import FishNetError
from ..models import FISHES, FISHNEXTS, Fish
from ..models.variants import name_of

#: Arguments of a backbone as a detector trains it, and as ImageNet pretraining does.
SETTINGS = dict(
    detection=dict(norm_cfg=dict(type='BN', requires_grad=False), norm_eval=True, frozen_stages=0),
    pretraining=dict(norm_cfg=dict(type='BN'), norm_eval=False, frozen_stages=-1),
)


class Family(NamedTuple):
    """What the networks of one type share."""

    #: Colour and marker in figures.
    colour: str
    marker: str
    #: Type of the classification head; None where mmdet has none.
    head: Optional[str]
    #: Whether the backbone takes ``frozen_stages``.
    can_freeze: bool = True


class Network(NamedTuple):
    """A backbone that can be built."""

    name: str
    title: str
    #: Its config, without the arguments in ``SETTINGS``.
    backbone: dict

    @property
    def family(self) -> Family:
        """Family: That of the backbone's type."""
        return FAMILIES[self.backbone['type']]


#: By the type of the backbone.
FAMILIES = {
    'FishNet': Family('#2b7bba', 'o', 'fishnet_mmdet.ClassificationHead'),
    'FishNeXt': Family('#2a9d6f', 'D', 'fishnet_mmdet.ClassificationHead'),
    'ResNet': Family('#c0392b', 's', 'fishnet_mmdet.LinearHead'),
    'ResNeXt': Family('#8a5fb0', '^', 'fishnet_mmdet.LinearHead'),
    'HRNet': Family('#b9770e', 'P', None, can_freeze=False),
}


def _fishes(family: str, variants: Dict[int, Fish]) -> Dict[str, Network]:
    rows = {}
    for depth, fish in variants.items():
        name = f'{family.lower()}{depth}'
        levels = tuple(range(fish.num_stages + 1))
        rows[name] = Network(name, name_of(fish), dict(type=family, depth=depth, out_indices=levels))
    return rows


def _branches(block: str, modules: int, *channels: int) -> dict:
    blocks = (4,) * len(channels)
    return dict(num_modules=modules, num_branches=len(channels), block=block, num_blocks=blocks, num_channels=channels)


HRNET_W32 = dict(
    stage1=_branches('BOTTLENECK', 1, 64),
    stage2=_branches('BASIC', 1, 32, 64),
    stage3=_branches('BASIC', 4, 32, 64, 128),
    stage4=_branches('BASIC', 3, 32, 64, 128, 256),
)
_BASELINES = (
    Network('resnet50', 'ResNet-50', dict(type='ResNet', depth=50)),
    Network('resnet101', 'ResNet-101', dict(type='ResNet', depth=101)),
    Network('resnext50_32x4d', 'ResNeXt-50 32x4d', dict(type='ResNeXt', depth=50, groups=32, base_width=4)),
    Network('hrnet_w32', 'HRNet-W32', dict(type='HRNet', extra=HRNET_W32)),
)
#: By name.
NETWORKS = {
    **_fishes('FishNet', FISHES),
    **_fishes('FishNeXt', FISHNEXTS),
    **{network.name: network for network in _BASELINES},
}


def find_network(name: str) -> Network:
    """A network by its name, or the backbone of a config.

    Args:
        name (str): A key of ``NETWORKS``, or the path of a config file (.py).

    Raises:
        FishNetError: If there is no such network or config, or its backbone is of another type.
    """
    if name in NETWORKS:
        return NETWORKS[name]
    if not name.endswith('.py'):
        raise FishNetError(f'unknown network {name!r}: choose from {", ".join(NETWORKS)}, or give the path of a config (.py)')
    backbone = dict((read_config(name).get('model') or {}).get('backbone') or {})
    kind = str(backbone.get('type')).rpartition('.')[2]
    if kind not in FAMILIES:
        raise FishNetError(f'{name} has model.backbone.type {kind}: give a config with one of {", ".join(FAMILIES)}')
    # Weights change neither costs nor the drawing.
    backbone = {key: value for key, value in backbone.items() if key not in ('init_cfg', 'pretrained')}
    return Network(name, Path(name).stem, dict(backbone, type=kind))


def build(network: Network, setting: str) -> nn.Module:
    """Builds a backbone on random weights.

    Args:
        network (Network): Which one.
        setting (str): A key of ``SETTINGS``.
    """
    arguments = dict(SETTINGS[setting])
    if not network.family.can_freeze:
        del arguments['frozen_stages']
    return MODELS.build({**network.backbone, **arguments})
