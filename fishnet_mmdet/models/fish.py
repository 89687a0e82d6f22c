"""The variants of FishNet as data: which stages a fish has, how wide and how deep they are."""

from dataclasses import dataclass, fields, replace
from typing import Dict, Iterator, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from ..errors import FishNetError

#: Width of a residual unit's output divided by the width of its 3x3 convolution.
EXPANSION = 4
#: The same where the 3x3 convolution is grouped: ResNeXt's bottleneck is twice as wide.
GROUPED_EXPANSION = 2
#: Width of the bridge's output divided by the width of its squeezed attention vector.
SQUEEZE = 16
STEM_STRIDES = (1, 2, 4)
#: Ways to halve the resolution (Table 2): pooling 2x2 or 3x3, or a stride of 2 in the last residual unit of R.
DOWNS = ('maxpool2', 'maxpool3', 'avgpool2', 'conv')


class Stage(NamedTuple):
    """What one stage is made of: R, and, where something is concatenated, T of the skip connection."""

    number: int
    in_channels: int
    out_channels: int
    units: int
    dilation: int = 1
    group_width: Optional[int] = None
    skip_channels: int = 0
    transfers: int = 0
    skip_group_width: Optional[int] = None


@dataclass(frozen=True)
class Fish:
    """What a fish is made of, part by part in the order of computation (Figure 2 of the paper).

    The tail has stages 1 ... N, the body N ... 1, the head 1 ... N; ``*_units`` counts the residual units that refine
    (R), ``*_transfers`` those on the horizontal connection (T). ``*_channels`` are the channels that R puts out, before
    concatenation. A stage of the body sums adjacent channels (Eq. 8), so what comes in must be a multiple of what goes
    out; a stage of the head keeps every channel (Eq. 9).

    Args:
        tail_units (Sequence[int]): R of the tail's stages, N numbers; N is the number of stages of each part.
        bridge_units (int): R of the bridge.
        body_units (Sequence[int]): R of the body's stages.
        head_units (Sequence[int]): R of the head's stages.
        body_transfers (Sequence[int]): T from the tail into the body's stages.
        head_transfers (Sequence[int]): T from the body into the head's stages.
        stem_channels (int): Channels of F0.
        tail_channels (Sequence[int]): Channels of F1 ... FN.
        bridge_channels (int): Channels that leave the bridge.
        body_channels (Sequence[int]): Channels of the body's R.
        head_channels (Sequence[int]): Channels of the head's R: those that arrive by concatenation, written out to be
            checked.
        body_dilations (Sequence[int]): Dilation of the 3x3 convolutions in the body's R.
        head_dilations (Sequence[int]): Dilation of the 3x3 convolutions in the head's R.
        stem_stride (int): Stride of F0: 4 as in the paper, or 2 or 1 for small images.
        deep_stem (bool): Whether the stem has three 3x3 convolutions, as released, or one 7x7 (section 4.3).
        down (str): How tail and head halve the resolution (Table 2): 'maxpool2' as released, 'maxpool3', 'avgpool2', or
            'conv', with which the last unit of R has a stride of 2.
        group_width (int, optional): Channels of a group of the 3x3 convolutions at F0's resolution; it doubles with each
            stage, and the bottleneck is twice as wide (FishNeXt, section 4.2). None: not grouped.

    Raises:
        FishNetError: If the numbers do not make a fish; the message says which stage and what would fit.
    """

    tail_units: Sequence[int]
    bridge_units: int
    body_units: Sequence[int]
    head_units: Sequence[int]
    body_transfers: Sequence[int]
    head_transfers: Sequence[int]
    stem_channels: int = 64
    tail_channels: Sequence[int] = (128, 256, 512)
    bridge_channels: int = 512
    body_channels: Sequence[int] = (512, 384, 256)
    head_channels: Sequence[int] = (320, 832, 1600)
    body_dilations: Sequence[int] = (1, 2, 4)
    head_dilations: Sequence[int] = (1, 1, 1)
    stem_stride: int = 4
    deep_stem: bool = True
    down: str = 'maxpool2'
    group_width: Optional[int] = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ('deep_stem', 'down'):
                continue
            if field.type is int or field.name == 'group_width' and value is not None:
                if not _is_count(value):
                    raise FishNetError(f'{field.name} of a fish must be a positive integer, not {value!r}')
                continue
            if value is None and field.name == 'group_width':
                continue
            if not isinstance(value, Sequence) or not value or not all(map(_is_count, value)):
                raise FishNetError(f'{field.name} of a fish must be positive integers, one for each stage, not {value!r}')
            if len(value) != self.num_stages:
                raise FishNetError(
                    f'tail, body and head of a fish have the same number of stages: tail_units has '
                    f'{len(self.tail_units)}, but {field.name} has {len(value)}: {value!r}'
                )
            object.__setattr__(self, field.name, tuple(value))
        if self.stem_stride not in STEM_STRIDES:
            raise FishNetError(
                f'stem_stride of a fish must be one of {", ".join(map(str, STEM_STRIDES))}, not {self.stem_stride}'
            )
        if type(self.deep_stem) is not bool:
            raise FishNetError(f'deep_stem of a fish must be True or False, not {self.deep_stem!r}')
        if self.down not in DOWNS:
            raise FishNetError(f'down of a fish must be one of {", ".join(map(repr, DOWNS))}, not {self.down!r}')
        self._check_channels()

    @property
    def num_stages(self) -> int:
        """int: Stages of each of tail, body and head (N)."""
        return len(self.tail_units)

    @property
    def depth(self) -> int:
        """int: Layers, as in the released models' names: 3 a unit, and 12 (7x7 stem: 10) for stem, bridge and classifier."""
        units = (
            self.tail_units,
            (self.bridge_units,),
            self.body_units,
            self.head_units,
            self.body_transfers,
            self.head_transfers,
        )
        return 3 * sum(map(sum, units)) + (12 if self.deep_stem else 10)

    @property
    def tail_features(self) -> Tuple[int, ...]:
        """tuple[int]: Channels of F0 ... FN."""
        return (self.stem_channels, *self.tail_channels)

    @property
    def body_features(self) -> Tuple[int, ...]:
        """tuple[int]: Channels of F(N+1) ... F(2N+1): out of the bridge and of each body stage, concatenated."""
        skips = reversed(self.tail_features[:-1])
        return (self.bridge_channels, *(refined + skip for refined, skip in zip(self.body_channels, skips)))

    @property
    def head_features(self) -> Tuple[int, ...]:
        """tuple[int]: Channels of F(2N+1) ... F(3N+1): into the first head stage and out of each, concatenated.

        These are the channels of the output levels, at strides 4, 8, 16 ...
        """
        channels = [self.body_features[-1]]
        for skip in reversed(self.body_features[:-1]):
            channels.append(channels[-1] + skip)
        return tuple(channels)

    @property
    def strides(self) -> Tuple[int, ...]:
        """tuple[int]: Strides of the output levels with respect to the input image."""
        return tuple(self.stem_stride * 2**level for level in range(self.num_stages + 1))

    @property
    def group_widths(self) -> Tuple[Optional[int], ...]:
        """tuple[int | None]: Channels of a group of the 3x3 convolutions, by level: at the resolution of F0 ... FN."""
        return tuple(self.group_width and self.group_width * 2**level for level in range(self.num_stages + 1))

    def tail_stages(self) -> Iterator[Stage]:
        """The stages of the tail, shallow to deep."""
        return map(
            Stage,
            range(1, self.num_stages + 1),
            self.tail_features,
            self.tail_channels,
            self.tail_units,
            (1,) * self.num_stages,
            self.group_widths,
        )

    def bridge_stage(self) -> Stage:
        """R of the bridge, which widens the deepest feature first."""
        channels = 2 * self.tail_channels[-1], self.bridge_channels
        return Stage(self.num_stages + 1, *channels, self.bridge_units, group_width=self.group_widths[-1])

    def body_stages(self) -> Iterator[Stage]:
        """The stages of the body, deep to shallow: R at the resolution that comes in, T at the one above."""
        levels = range(self.num_stages, 0, -1)
        return map(
            Stage,
            levels,
            self.body_features,
            self.body_channels,
            self.body_units,
            self.body_dilations,
            (self.group_widths[level] for level in levels),
            reversed(self.tail_features[:-1]),
            self.body_transfers,
            (self.group_widths[level - 1] for level in levels),
        )

    def head_stages(self) -> Iterator[Stage]:
        """The stages of the head, shallow to deep: R at the resolution that comes in, T at the one below."""
        return map(
            Stage,
            range(1, self.num_stages + 1),
            self.head_features,
            self.head_channels,
            self.head_units,
            self.head_dilations,
            self.group_widths,
            reversed(self.body_features[:-1]),
            self.head_transfers,
            self.group_widths[1:],
        )

    def _check_channels(self) -> None:
        widths = dict(
            stem_channels=(self.stem_channels,),
            tail_channels=self.tail_channels,
            bridge_channels=(self.bridge_channels,),
            body_channels=self.body_channels,
        )
        for name, channels in widths.items():
            for width in channels:
                if width % EXPANSION:
                    raise FishNetError(
                        f'{name} of a fish must be multiples of {EXPANSION} (a residual unit is a bottleneck of a '
                        f'{EXPANSION}th of its width), not {width}'
                    )
        if self.bridge_channels % SQUEEZE:
            raise FishNetError(
                f'bridge_channels of a fish must be a multiple of {SQUEEZE} (its attention squeezes to a {SQUEEZE}th), '
                f'not {self.bridge_channels}'
            )
        for stage in self.body_stages():
            if stage.in_channels % stage.out_channels:
                raise FishNetError(
                    f'body stage {stage.number} of a fish cannot sum {stage.in_channels} channels to '
                    f'{stage.out_channels} (Eq. 8): its body_channels must divide {stage.in_channels}'
                )
        for stage in self.head_stages():
            if stage.in_channels != stage.out_channels:
                raise FishNetError(
                    f'head stage {stage.number} of a fish gets {stage.in_channels} channels by concatenation and keeps '
                    f'them (Eq. 9): its head_channels must be {stage.in_channels}, not {stage.out_channels}'
                )
        if self.group_width is not None:
            self._check_groups()

    def _check_groups(self) -> None:
        for part in ('tail', 'bridge', 'body', 'head'):
            stages = (self.bridge_stage(),) if part == 'bridge' else getattr(self, f'{part}_stages')()
            for stage in stages:
                for channels, group in (
                    (stage.out_channels, stage.group_width),
                    (stage.skip_channels, stage.skip_group_width),
                ):
                    if group and channels % (GROUPED_EXPANSION * group):
                        raise FishNetError(
                            f'{part} stage {stage.number} of a fish cannot divide the {channels // GROUPED_EXPANSION} '
                            f'channels of its bottleneck into groups of {group}: with this group_width its channels must be '
                            f'multiples of {GROUPED_EXPANSION * group}'
                        )


def _is_count(value) -> bool:
    return type(value) is int and value > 0


#: The variants of FishNet by the numbers that they are named for. 99, 150 and 201 are released, and count layers. 55 and 77
#: are a report's, for small images: 77 is 99 with a quarter of its channels; 55 has an eighth of them and two stages in each
#: part (the units are those of 99's first two; the report does not tell them). The report lists 48 channels for 55's last
#: head stage, which is what T brings to it; with what the head keeps itself (Eq. 9), there are 80.
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


def get_fish(depth: Union[int, Fish, Mapping], variants: Dict[int, Fish] = FISHES) -> Fish:
    """The fish of a depth.

    Args:
        depth (int | Fish | Mapping): A key of ``variants``, or a custom fish: a :class:`Fish` or, in a config, a dict of its
            arguments. With ``depth`` among them, they change that variant: ``dict(depth=150, down='conv')``.
        variants (dict[int, Fish]): ``FISHES`` or ``FISHNEXTS``.

    Raises:
        FishNetError: If there is no such depth, or the custom fish does not fit together.
    """
    if isinstance(depth, Fish):
        return depth
    if isinstance(depth, Mapping):
        allowed = [field.name for field in fields(Fish)]
        unknown = [str(name) for name in depth if name not in (*allowed, 'depth')]
        if unknown:
            raise FishNetError(f'a fish has no {", ".join(unknown)}: its parts are {", ".join(allowed)}')
        if 'depth' in depth:
            changes = {name: value for name, value in depth.items() if name != 'depth'}
            return replace(get_fish(depth['depth'], variants), **changes)
        missing = [name for name in allowed if name not in depth and not hasattr(Fish, name)]
        if missing:
            raise FishNetError(f'a fish needs {", ".join(missing)} too')
        return Fish(**depth)
    if type(depth) is not int or depth not in variants:
        raise FishNetError(
            f'there is no depth {depth!r}: choose one of {", ".join(map(str, variants))}, or give a fish of your own as a '
            'dict of the arguments of fishnet_mmdet.Fish (in a config that inherits a depth, with _delete_=True)'
        )
    return variants[depth]


def name_of(fish: Fish) -> str:
    """What a fish is called: 'FishNet-77', 'FishNeXt-150', or 'a fish of 39 layers' if it is in no table."""
    for network, variants in (('FishNet', FISHES), ('FishNeXt', FISHNEXTS)):
        for depth, variant in variants.items():
            if fish == variant:
                return f'{network}-{depth}'
    return f'a fish of {fish.depth} layers'
