"""The names that the released models gave FishNet's tensors, in ours.

Ours say where in the fish a tensor is: ``tail.stage2.0.conv1.weight``. FishNet's authors number their parts:
``fish.fish.<stage>.<slot>``, where the stages are F1 ... F10. pytorchcv writes five sequences of its hourglass:
``features.hg.<sequence>.unit<number>.blocks.block<number>``.

The tables below are without the last word of a name (weight, bias, running_mean ...), which is the same in all. In a fish
of N stages in each part, ``{i}`` is each of 1 ... N, and the other numbers follow from it, see ``_numbers``.
"""

import re
from typing import Dict, Iterable, NamedTuple, Optional

from torch import Tensor

#: What the names of a FishNet's tensors begin with.
PARTS = ('stem.', 'tail.', 'bridge.', 'body.', 'head.')


class Source(NamedTuple):
    """How a source of weights names its modules, and how we name the same ones."""

    mark: str
    """Regular expression of the beginning of a name that only this source has, with a number in it."""
    numbers_per_stage: int
    """The highest number after the mark, divided by this, is the number of stages in each part."""
    modules: Dict[str, str]
    """Modules outside of the residual units."""
    rows: Dict[str, str]
    """Rows of residual units."""
    unit: str
    """Regular expression of a module in a unit: its row, the unit's number, and the member of the unit."""
    first_unit: int
    """The number of a row's first unit. Ours is 0."""
    members: Dict[str, str]
    """Members of a unit."""


SOURCES = dict(
    authors=Source(
        mark=r'fish\.fish\.(\d{1,2})\.',
        numbers_per_stage=3,
        modules={
            **{f'conv{n}.0': f'stem.conv{n}' for n in (1, 2, 3)},
            **{f'conv{n}.1': f'stem.norm{n}' for n in (1, 2, 3)},
            'fish.fish.{n}.0.0': 'bridge.norm1',
            'fish.fish.{n}.0.2': 'bridge.conv1',
            'fish.fish.{n}.0.3': 'bridge.norm2',
            'fish.fish.{n}.1': 'bridge.conv2',
            'fish.fish.{n}.3.0.0': 'bridge.attention.norm',
            'fish.fish.{n}.3.0.3': 'bridge.attention.conv1',
            'fish.fish.{n}.3.0.5': 'bridge.attention.conv2',
            'fish.fish.{last}.3.0': 'cls_head.norm1',
            'fish.fish.{last}.3.2': 'cls_head.conv1',
            'fish.fish.{last}.3.3': 'cls_head.norm2',
            'fish.fish.{last}.4.1': 'cls_head.conv2',
        },
        rows={
            'fish.fish.{tail}.0': 'tail.stage{i}',
            'fish.fish.{n}.2': 'bridge.refine',
            'fish.fish.{body}.0': 'body.stage{down}.refine',
            'fish.fish.{body}.1': 'body.stage{down}.transfer',
            'fish.fish.{head}.0': 'head.stage{i}.refine',
            'fish.fish.{head}.1': 'head.stage{i}.transfer',
        },
        unit=r'(.+)\.(\d{1,3})\.((?:bn|conv|shortcut\.)\d)',
        first_unit=0,
        members={
            **{f'bn{n}': f'norm{n}' for n in (1, 2, 3)},
            **{f'conv{n}': f'conv{n}' for n in (1, 2, 3)},
            'shortcut.0': 'shortcut.norm',
            'shortcut.2': 'shortcut.conv',
        },
    ),
    pytorchcv=Source(
        mark=r'features\.hg\.down1_seq\.unit(\d{1,2})\.',
        numbers_per_stage=1,
        modules={
            **{f'features.init_block.conv{n}.conv': f'stem.conv{n}' for n in (1, 2, 3)},
            **{f'features.init_block.conv{n}.bn': f'stem.norm{n}' for n in (1, 2, 3)},
            'features.hg.skip1_seq.unit{after}.conv1.bn': 'bridge.norm1',
            'features.hg.skip1_seq.unit{after}.conv1.conv': 'bridge.conv1',
            'features.hg.skip1_seq.unit{after}.conv2.bn': 'bridge.norm2',
            'features.hg.skip1_seq.unit{after}.conv2.conv': 'bridge.conv2',
            'features.hg.skip1_seq.unit{after}.se.bn': 'bridge.attention.norm',
            'features.hg.skip1_seq.unit{after}.se.conv1': 'bridge.attention.conv1',
            'features.hg.skip1_seq.unit{after}.se.conv2': 'bridge.attention.conv2',
            'features.final_block.conv1.bn': 'cls_head.norm1',
            'features.final_block.conv1.conv': 'cls_head.conv1',
            'features.final_block.preactiv.bn': 'cls_head.norm2',
            'output.final_conv': 'cls_head.conv2',
        },
        rows={
            'features.hg.down1_seq.unit{i}': 'tail.stage{i}',
            'features.hg.skip1_seq.unit{after}': 'bridge.refine',
            'features.hg.up_seq.unit{i}': 'body.stage{down}.refine',
            'features.hg.skip1_seq.unit{i}': 'body.stage{i}.transfer',
            'features.hg.down2_seq.unit{i}': 'head.stage{i}.refine',
            'features.hg.skip2_seq.unit{i}': 'head.stage{down}.transfer',
        },
        unit=r'(.+)\.blocks\.block(\d{1,3})\.(.+)',
        first_unit=1,
        members={
            **{f'body.conv{n}.bn': f'norm{n}' for n in (1, 2, 3)},
            **{f'body.conv{n}.conv': f'conv{n}' for n in (1, 2, 3)},
            'identity_conv.bn': 'shortcut.norm',
            'identity_conv.conv': 'shortcut.conv',
        },
    ),
)


def source_of(names: Iterable[str]) -> Optional[str]:
    """The key of ``SOURCES`` whose names some tensors have, behind ``module.`` or not; None if they have no source's."""
    names = list(names)
    for key, source in SOURCES.items():
        if any(re.match(rf'(?:module\.)?{source.mark}', name) for name in names):
            return key
    return None


def rename_released(state_dict: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """The weights of a released model under our names; the classification head's begin with ``cls_head.``.

    Args:
        state_dict (dict[str, Tensor]): Weights of a released model of any number of stages, or any others.

    Returns:
        dict[str, Tensor]: The same tensors in the same order. A name that is no released model's is kept as it is.
    """
    key = source_of(state_dict)
    if key is None:
        return dict(state_dict)
    source = SOURCES[key]
    state_dict = {re.sub(r'^module\.', '', name): tensor for name, tensor in state_dict.items()}
    numbers = [int(match[1]) for match in map(re.compile(source.mark).match, state_dict) if match]
    num_stages = max(numbers) // source.numbers_per_stage
    modules, rows = _expand(source.modules, num_stages), _expand(source.rows, num_stages)
    return {_rename(name, source, modules, rows) or name: tensor for name, tensor in state_dict.items()}


def as_classifier_weights(state_dict: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """The weights of a released model under the names of our classifier: ``backbone.`` and ``cls_head.``.

    Args:
        state_dict (dict[str, Tensor]): Weights of a released model, or any others, which keep their names.

    Returns:
        dict[str, Tensor]: The same tensors in the same order.
    """
    if source_of(state_dict) is None:
        return dict(state_dict)
    renamed = rename_released(state_dict)
    return {f'backbone.{name}' if name.startswith(PARTS) else name: tensor for name, tensor in renamed.items()}


def _numbers(n: int, i: int) -> Dict[str, int]:
    """The numbers that stand in a table's braces, for the stage i of a part of n stages."""
    return dict(i=i, down=n + 1 - i, tail=i - 1, body=n + i, head=2 * n + i, n=n, after=n + 1, last=3 * n)


def _expand(table: Dict[str, str], num_stages: int) -> Dict[str, str]:
    return {
        theirs.format(**numbers): ours.format(**numbers)
        for numbers in (_numbers(num_stages, i + 1) for i in range(num_stages))
        for theirs, ours in table.items()
    }


def _rename(name: str, source: Source, modules: Dict[str, str], rows: Dict[str, str]) -> Optional[str]:
    module, _, last = name.rpartition('.')
    if module in modules:
        return f'{modules[module]}.{last}'
    match = re.fullmatch(source.unit, module)
    if not match or match[1] not in rows or match[3] not in source.members:
        return None
    return f'{rows[match[1]]}.{int(match[2]) - source.first_unit}.{source.members[match[3]]}.{last}'
