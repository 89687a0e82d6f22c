"""The modules that take a backbone's features get its new channels: the neck or, without a neck, the heads."""

from typing import Any, List, Mapping, Union

from ..engine.config_tree import Path, at, dotted, type_of, walk
from ..errors import FishNetError
from .resnets import channels_of


def fit_consumers(cfg: dict, place: Path, resnet: Mapping, channels: List[int]) -> List[str]:
    """Changes ``in_channels`` of the modules beside a backbone, in place.

    Args:
        cfg (dict): The new config.
        place (Path): Where the backbone stands.
        resnet (Mapping): The old backbone.
        channels (list[int]): Channels of the new backbone's outputs.

    Returns:
        list[str]: Notes.

    Raises:
        FishNetError: If the neck does not fit the backbone's outputs or has a ResNet inside, or there is neither a neck nor
            a head that names the old channels.
    """
    *above, key = place
    owner = at(cfg, tuple(above))
    old_channels = channels_of(resnet)
    neck_key = key.replace('backbone', 'neck')
    neck_place = (*above, neck_key)
    neck = owner.get(neck_key)
    if isinstance(neck, (list, tuple)) and neck:
        # The first of several necks takes the backbone's features.
        neck, neck_place = neck[0], (*neck_place, 0)
    if neck and 'rfp_backbone' in neck:
        raise FishNetError(
            f'the {type_of(neck)[0]} at {dotted(neck_place)} feeds its features back into a backbone that is made for it, '
            'which FishNet is not: choose a config with another neck'
        )
    if neck and 'in_channels' in neck:
        neck['in_channels'] = _neck_channels(neck, neck_place, old_channels, channels)
        return []

    takers = [
        module
        for name in owner
        if name != key
        for _, module in walk(owner[name])
        if isinstance(module, Mapping) and _takes(module.get('in_channels'), old_channels)
    ]
    takers_of_all = [taker for taker in takers if not isinstance(taker['in_channels'], int)]
    if takers_of_all:
        for taker in takers_of_all:
            taker['in_channels'] = list(channels)
        return []
    if takers and neck:
        # This neck does not change the number of channels, as pooling does not.
        for taker in takers:
            taker['in_channels'] = channels[-1]
        return []
    if takers and len(channels) == 1:
        # Without a neck, the heads' own layers have the old width (a shared C5 stage, say), so a new neck adapts the channels.
        owner[neck_key] = dict(
            type='ChannelMapper', in_channels=list(channels), out_channels=old_channels[0], kernel_size=1, act_cfg=None
        )
        return [
            f'{dotted(neck_place)} is new: a 1x1 convolution from {channels[0]} channels to the {old_channels[0]} that the '
            'heads take'
        ]
    raise FishNetError(
        f'{dotted(tuple(above))} has neither a neck nor a head with in_channels={old_channels}, the channels of the '
        f'{type_of(resnet)[0]}: fishify does not know which module takes the features; change the config by hand'
    )


def _neck_channels(neck: Mapping, place: Path, old: List[int], new: List[int]) -> Union[int, List[int]]:
    given = neck['in_channels']
    if isinstance(given, int):
        # A neck with one number takes the output that has it, or the last one.
        return new[old.index(given) if given in old else -1]
    if len(given) != len(new):
        raise FishNetError(
            f'{dotted(place)} takes {len(given)} features, in_channels={list(given)}, and gets {len(new)} from the backbone: '
            'correct the config first'
        )
    return list(new)


def _takes(in_channels: Any, channels: List[int]) -> bool:
    """Whether a module with these ``in_channels`` takes features of ``channels``: all, or the last one."""
    return in_channels == channels[-1] or (isinstance(in_channels, (list, tuple)) and list(in_channels) == channels)
