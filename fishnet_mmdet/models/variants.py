"""The variants of FishNet: a table, and how the arguments ``depth`` and ``arch`` choose from it."""

from dataclasses import fields, replace
from typing import Iterable, Mapping, Optional, Union

from ..errors import FishNetError
from .fish import Fish

#: The variants of FishNet by their names. 99, 150 and 201 are released; the number counts layers. 55 and 77 are for small
#: images, from the report of Zang, Cao and Shang (docs/paper.md): 77 has a quarter of the channels of 99; 55 has an eighth,
#: and two stages in each part. The report does not give the units of 55: ours are those of the first two stages of 99. It
#: lists 48 channels for the last head stage of 55, which are those of T; with those that the head keeps (Eq. 9) it has 80.
FISHES = {
    55: Fish(
        tail_units=(2, 2),
        bridge_units=2,
        body_units=(1, 1),
        head_units=(1, 2),
        body_transfers=(1, 1),
        head_transfers=(1, 4),
        stem_channels=8,
        tail_channels=(16, 32),
        bridge_channels=32,
        body_channels=(32, 24),
        head_channels=(32, 80),
        body_dilations=(1, 2),
        head_dilations=(1, 1),
        stem_stride=1,
    ),
    77: Fish(
        tail_units=(2, 2, 6),
        bridge_units=2,
        body_units=(1, 1, 1),
        head_units=(1, 2, 2),
        body_transfers=(1, 1, 1),
        head_transfers=(1, 1, 4),
        stem_channels=16,
        tail_channels=(32, 64, 128),
        bridge_channels=128,
        body_channels=(128, 96, 64),
        head_channels=(80, 208, 400),
        stem_stride=1,
    ),
    99: Fish(
        tail_units=(2, 2, 6),
        bridge_units=2,
        body_units=(1, 1, 1),
        head_units=(1, 2, 2),
        body_transfers=(1, 1, 1),
        head_transfers=(1, 1, 4),
    ),
    150: Fish(
        tail_units=(2, 4, 8),
        bridge_units=4,
        body_units=(2, 2, 2),
        head_units=(2, 2, 4),
        body_transfers=(2, 2, 2),
        head_transfers=(2, 2, 4),
    ),
    201: Fish(
        tail_units=(3, 4, 12),
        bridge_units=4,
        body_units=(2, 2, 2),
        head_units=(2, 3, 10),
        body_transfers=(2, 2, 2),
        head_transfers=(2, 2, 9),
    ),
}

#: FishNeXt (section 4.2): the same with grouped convolutions, 4 channels a group at stride 4 ("4d" in Table 1).
FISHNEXTS = {depth: replace(FISHES[depth], group_width=4) for depth in (99, 150, 201)}


def get_fish(depth: Optional[int], arch: Union[Mapping, Fish, None] = None, variants: Mapping[int, Fish] = FISHES) -> Fish:
    """The architecture that ``depth`` and ``arch`` describe.

    ``depth`` chooses a variant of the table, and ``arch`` replaces fields of it. An ``arch`` with all fields is thus a custom
    architecture, whatever the depth. With ``depth=None`` the fields that ``arch`` lacks have the defaults of :class:`Fish`.

    Args:
        depth (int, optional): A key of ``variants``, or None for a custom architecture.
        arch (Mapping | Fish, optional): Arguments of :class:`Fish`, or a whole one, to which ``depth`` does not matter.
        variants (Mapping[int, Fish]): ``FISHES`` or ``FISHNEXTS``.

    Raises:
        FishNetError: If there is no such depth, or the architecture does not fit together.
    """
    if isinstance(arch, Fish):
        return arch
    if depth is not None and (type(depth) is not int or depth not in variants):
        raise FishNetError(
            f'depth {depth!r} is unknown: use {_listed(variants)}, or describe your own architecture with arch=dict(...), '
            'whose keys are the arguments of fishnet_mmdet.Fish'
        )
    if arch is None:
        arch = {}
    if not isinstance(arch, Mapping):
        raise FishNetError(f'arch must be a dict of arguments of fishnet_mmdet.Fish, or None, not {arch!r}')
    allowed = [field.name for field in fields(Fish)]
    unknown = [str(name) for name in arch if name not in allowed]
    if unknown:
        raise FishNetError(f'arch has no argument {", ".join(unknown)}: its arguments are {", ".join(allowed)}')
    if depth is not None:
        return replace(variants[depth], **arch)
    missing = [name for name in allowed if name not in arch and not hasattr(Fish, name)]
    if missing:
        raise FishNetError(f'arch lacks {", ".join(missing)}: add them, or set depth to change one of {_listed(variants)}')
    return Fish(**arch)


def name_of(fish: Fish) -> str:
    """The name of an architecture: 'FishNet-77', 'FishNeXt-150', or 'a FishNet of 39 layers' if it is in no table."""
    for network, variants in (('FishNet', FISHES), ('FishNeXt', FISHNEXTS)):
        for depth, variant in variants.items():
            if fish == variant:
                return f'{network}-{depth}'
    return f'a FishNet of {fish.depth} layers'


def _listed(depths: Iterable[int]) -> str:
    *first, last = map(str, depths)
    return f'{", ".join(first)} or {last}'
