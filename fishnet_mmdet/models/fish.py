"""The architecture of a FishNet as data: its stages, their widths and depths, and what fits together."""

from dataclasses import dataclass, fields
from typing import List, NamedTuple, Optional, Sequence, Tuple

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
    """One stage: its residual units (R), and those on its skip connection (T) where it concatenates another feature."""

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
    """The architecture of a FishNet, part by part in the order of computation (Figure 2 of the paper).

    The tail has the stages 1 ... N, the body N ... 1, the head 1 ... N. ``*_units`` are numbers of residual units that refine
    (R). ``*_transfers`` are numbers of those on the horizontal connections (T). ``*_channels`` are the output channels of R,
    before concatenation. A body stage sums adjacent channels (Eq. 8), so its input channels must be a multiple of its output
    channels. A head stage keeps every channel (Eq. 9).

    Args:
        tail_units (Sequence[int]): R of the tail's stages: N numbers. N is the number of stages of each part.
        bridge_units (int): R of the bridge.
        body_units (Sequence[int]): R of the body's stages.
        head_units (Sequence[int]): R of the head's stages.
        body_transfers (Sequence[int]): T from the tail into the body's stages. With 0 the feature is concatenated as it is.
        head_transfers (Sequence[int]): T from the body into the head's stages.
        stem_channels (int): Channels of F0.
        tail_channels (Sequence[int]): Channels of F1 ... FN.
        bridge_channels (int): Output channels of the bridge.
        body_channels (Sequence[int]): Channels of the body's R.
        head_channels (Sequence[int]): Channels of the head's R. They follow from the concatenations, and are checked.
        body_dilations (Sequence[int]): Dilation of the 3x3 convolutions in the body's R.
        head_dilations (Sequence[int]): Dilation of the 3x3 convolutions in the head's R.
        stem_stride (int): Stride of F0: 4 as in the paper, or 2 or 1 for small images.
        deep_stem (bool): Whether the stem has three 3x3 convolutions, as released, or one 7x7 (section 4.3).
        down (str): How tail and head halve the resolution (Table 2): 'maxpool2' as released, 'maxpool3', 'avgpool2', or
            'conv': the last unit of R has a stride of 2.
        group_width (int, optional): Channels of a group of the 3x3 convolutions at F0's resolution. It doubles with each
            stage, and the bottleneck is twice as wide (FishNeXt, section 4.2). None: not grouped.

    Raises:
        FishNetError: If the numbers do not fit together. The message names the stage and the numbers that would fit.
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
            least = 0 if field.name.endswith('_transfers') else 1
            if not isinstance(value, Sequence) or not value or not all(_is_count(one, least) for one in value):
                raise FishNetError(
                    f'{field.name} of a fish must be integers of at least {least}, one for each stage, not {value!r}'
                )
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

    def tail_stages(self) -> List[Stage]:
        """The stages of the tail, shallow to deep."""
        return [
            Stage(
                number=i + 1,
                in_channels=self.tail_features[i],
                out_channels=self.tail_channels[i],
                units=self.tail_units[i],
                group_width=self.group_widths[i],
            )
            for i in range(self.num_stages)
        ]

    def bridge_stage(self) -> Stage:
        """R of the bridge. The bridge first doubles the channels of the deepest feature."""
        return Stage(
            number=self.num_stages + 1,
            in_channels=2 * self.tail_channels[-1],
            out_channels=self.bridge_channels,
            units=self.bridge_units,
            group_width=self.group_widths[-1],
        )

    def body_stages(self) -> List[Stage]:
        """The stages of the body, deep to shallow: R at the resolution of its input, T at twice that resolution."""
        return [
            Stage(
                number=level,
                in_channels=self.body_features[i],
                out_channels=self.body_channels[i],
                units=self.body_units[i],
                dilation=self.body_dilations[i],
                group_width=self.group_widths[level],
                skip_channels=self.tail_features[level - 1],
                transfers=self.body_transfers[i],
                skip_group_width=self.group_widths[level - 1],
            )
            for i, level in enumerate(range(self.num_stages, 0, -1))
        ]

    def head_stages(self) -> List[Stage]:
        """The stages of the head, shallow to deep: R at the resolution of its input, T at half that resolution."""
        return [
            Stage(
                number=i + 1,
                in_channels=self.head_features[i],
                out_channels=self.head_channels[i],
                units=self.head_units[i],
                dilation=self.head_dilations[i],
                group_width=self.group_widths[i],
                skip_channels=self.body_features[self.num_stages - 1 - i],
                transfers=self.head_transfers[i],
                skip_group_width=self.group_widths[i + 1],
            )
            for i in range(self.num_stages)
        ]

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


def _is_count(value, least: int = 1) -> bool:
    return type(value) is int and value >= least
