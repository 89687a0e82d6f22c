"""Detection of the architecture: which network a checkpoint holds, and as a part of what, by its tensors' names and shapes."""

import re
from typing import Dict, List, Mapping, NamedTuple, Optional

import torch
from torch import Tensor

from ..errors import FishNetError
from ..models import FISHES, FISHNEXTS
from ..models.fish import EXPANSION
from ..models.released import PARTS, rename_released, source_of
from .text import SHOWN_NAMES, shown, some

KINDS = dict(
    authors='a released classifier, {}',
    pytorchcv="pytorchcv's classifier, {}",
    classifier='a classifier with {}',
    detector='a detector with {}',
    backbone='{} alone',
)
#: In one file: of a teacher and a student, say, and their averages.
MOST_FISHNETS = 16
#: No fish has hundreds of stages or units: a name with a larger number is none of its names.
BLOCK = r'(?:tail\.stage\d{1,2}|bridge\.refine|(?:body|head)\.stage\d{1,2}\.(?:refine|transfer))'


class Architecture(NamedTuple):
    """A FishNet as its weights show it; strides and dilations they do not show."""

    name: str
    """For people: 'FishNet-99', or what a fish of one's own is made of."""
    type: Optional[str] = None
    """The class that has it in its table."""
    depth: Optional[int] = None
    """Its depth in that table."""


class FishWeights(NamedTuple):
    """The tensors of a checkpoint, by what they belong to."""

    kind: str
    """A key of ``KINDS``."""
    architecture: Architecture
    backbone: Dict[str, Tensor]
    """Under a FishNet's own names."""
    cls_head: Dict[str, Tensor]
    """Of a classifier, under the classification head's own names."""
    other: Dict[str, Tensor]
    """The rest, under the names that it has in the file."""

    @property
    def description(self) -> str:
        """str: 'a detector with FishNet-99', say."""
        return KINDS[self.kind].format(self.architecture.name)


class Row(NamedTuple):
    """R or T of a stage as its weights show it."""

    units: int
    channels: Optional[int]
    """Out of the last convolution."""
    group_width: Optional[int]
    """Channels that a filter of the 3x3 convolution sees."""


def detect(weights: Mapping[str, Tensor], file: str, prefix: Optional[str] = None) -> FishWeights:
    """Finds the FishNet in a checkpoint, whatever it is a part of.

    Args:
        weights (Mapping[str, Tensor]): The tensors of the checkpoint by name.
        file (str): Where they are from, for the message.
        prefix (str, optional): What the names of the backbone's tensors begin with, where there are several.

    Raises:
        FishNetError: If there is no FishNet, none at the prefix, or several that differ.
    """
    source = source_of(weights)
    weights = rename_released(weights)
    found = _prefixes(weights)
    if not found:
        raise FishNetError(f'{file} holds {describe(weights)}')
    if len(found) > MOST_FISHNETS:
        raise FishNetError(f'{file} holds {len(found):,} FishNets: that is no checkpoint of a network')
    if prefix is not None:
        prefix = f'{prefix}.' if prefix and not prefix.endswith('.') else prefix
        if prefix not in found:
            raise FishNetError(f'{file} holds no FishNet below {shown(prefix)!r}: its tensors begin with {_quoted(found)}')
        found = [prefix]
    first, *others = (_below(weights, one) for one in found)
    if not all(_equal(first, other) for other in others):
        raise FishNetError(
            f'{file} holds {len(found)} FishNets that differ, {_quoted(found)}: name one, prefix={shown(found[0])!r} in '
            f'init_cfg or --prefix {shown(found[0])} in the commands'
        )
    root = re.sub(r'backbone\.$', '', found[0])
    cls_head = {
        name[len(root + 'cls_head.') :]: tensor for name, tensor in weights.items() if name.startswith(root + 'cls_head.')
    }
    own = (root + 'cls_head.', *(found[0] + part for part in PARTS))
    other = {name: tensor for name, tensor in weights.items() if not name.startswith(own)}
    kind = source if source else 'detector' if other else 'classifier' if cls_head else 'backbone'
    return FishWeights(kind, architecture(first), first, cls_head, other)


def describe(weights: Mapping[str, Tensor]) -> str:
    """In a few words what a checkpoint holds: 'a detector with FishNet-99', or that it is no FishNet.

    Args:
        weights (Mapping[str, Tensor]): The tensors of the checkpoint by name.
    """
    found = _prefixes(rename_released(weights))
    if not found:
        return f'no FishNet: its first tensors are {some(list(weights))}'
    if len(found) > 1:
        return f'several FishNets, {_quoted(found)}'
    return detect(weights, '').description


def architecture(backbone: Mapping[str, Tensor]) -> Architecture:
    """Which FishNet some weights are of.

    Args:
        backbone (Mapping[str, Tensor]): Its tensors, or some of them, under its own names.
    """
    rows = _rows_of_weights(backbone)
    similar = []
    for network, fishes in (('FishNet', FISHES), ('FishNeXt', FISHNEXTS)):
        for depth, fish in fishes.items():
            known = _rows_of_fish(fish)
            # A head may end early, where a detector takes no more of it.
            absent = [block for block in known if block not in rows and not block.startswith('head.')]
            if not absent and all(known.get(block) == row for block, row in rows.items()):
                return Architecture(f'{network}-{depth}', network, depth)
            if not absent and all(block in known and known[block].units == row.units for block, row in rows.items()):
                similar.append((sum(known[block] == row for block, row in rows.items()), f'{network}-{depth}'))
    if similar and max(similar)[0]:
        return Architecture(f'a fish of its own, with the units of {max(similar)[1]} and other channels')
    num_stages = max(int(number) for number in re.findall(r'tail\.stage(\d+)', ' '.join(rows)))
    tail = [rows.get(f'tail.stage{number + 1}', Row(0, None, None)) for number in range(num_stages)]
    return Architecture(
        f'a fish of its own with {num_stages} stages ({_listed(row.units for row in tail)} units in the tail and '
        f'{sum(row.units for row in rows.values())} in all, {_listed(row.channels for row in tail)} channels in the tail)'
    )


def _prefixes(weights: Mapping[str, Tensor]) -> List[str]:
    """What stands before the names of the FishNets' tensors. No other network is known to have stages in a tail."""
    matches = (re.match(r'(|.*\.)tail\.stage\d{1,2}\.\d{1,3}\.conv\d\.weight$', name) for name in weights)
    return list(dict.fromkeys(match[1] for match in matches if match))


def _below(weights: Mapping[str, Tensor], prefix: str) -> Dict[str, Tensor]:
    names = tuple(prefix + part for part in PARTS)
    return {name[len(prefix) :]: tensor for name, tensor in weights.items() if name.startswith(names)}


def _equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def _rows_of_weights(backbone: Mapping[str, Tensor]) -> Dict[str, Row]:
    rows = {}
    for name, tensor in backbone.items():
        if match := re.match(rf'({BLOCK})\.(\d{{1,3}})\.(.+)', name):
            block, index, member = match.groups()
            row = rows.get(block, Row(0, None, None))
            row = row._replace(units=max(row.units, int(index) + 1))
            if member == 'conv2.weight' and tensor.ndim == 4:
                row = row._replace(group_width=tensor.shape[1])
            if member == 'conv3.weight' and tensor.ndim == 4:
                row = row._replace(channels=tensor.shape[0])
            rows[block] = row
    return rows


def _rows_of_fish(fish) -> Dict[str, Row]:
    def row(units, channels, group_width):
        return Row(units, channels, group_width or channels // EXPANSION)

    rows = {f'tail.stage{s.number}': row(s.units, s.out_channels, s.group_width) for s in fish.tail_stages()}
    bridge = fish.bridge_stage()
    rows['bridge.refine'] = row(bridge.units, bridge.out_channels, bridge.group_width)
    for part, stages in (('body', fish.body_stages()), ('head', fish.head_stages())):
        for s in stages:
            rows[f'{part}.stage{s.number}.refine'] = row(s.units, s.out_channels, s.group_width)
            rows[f'{part}.stage{s.number}.transfer'] = row(s.transfers, s.skip_channels, s.skip_group_width)
    return rows


def _quoted(prefixes: List[str]) -> str:
    more = ' and more' if len(prefixes) > SHOWN_NAMES else ''
    return ' and '.join(repr(shown(prefix)) for prefix in prefixes[:SHOWN_NAMES]) + more


def _listed(numbers) -> str:
    return ', '.join('?' if number is None else str(number) for number in numbers)
