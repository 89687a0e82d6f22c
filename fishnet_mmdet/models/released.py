"""The names of the released models' weights, in ours.

The released models number their parts: ``fish.fish.<stage>.<slot>``, where the stages are F1 ... F10. Ours say where in the
fish a weight sits: ``tail.stage2.0.conv1.weight``.
"""

import re
from typing import Dict, Optional

from torch import Tensor

UNIT = {'bn': 'norm', 'conv': 'conv', 'shortcut.0': 'shortcut.norm', 'shortcut.2': 'shortcut.conv'}
STEM = {'0': 'conv', '1': 'norm'}
BRIDGE = {
    '0.0': 'norm1',
    '0.2': 'conv1',
    '0.3': 'norm2',
    '1': 'conv2',
    '3.0.0': 'attention.norm',
    '3.0.3': 'attention.conv1',
    '3.0.5': 'attention.conv2',
}
SCORE = {'3.0': 'norm1', '3.2': 'conv1', '3.3': 'norm2', '4.1': 'conv2'}

#: What the names of a FishNet's tensors begin with.
PARTS = ('stem.', 'tail.', 'bridge.', 'body.', 'head.')


def is_released(state_dict: Dict[str, Tensor]) -> bool:
    """Whether the weights have the released models' names, behind ``module.`` or not."""
    return any(re.match(r'(module\.)?fish\.fish\.\d+\.', name) for name in state_dict)


def rename_released(state_dict: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """The weights of a released model under our names; the classification head's begin with ``cls_head.``.

    Args:
        state_dict (dict[str, Tensor]): Weights of a released model, of any number of stages.

    Returns:
        dict[str, Tensor]: The same tensors in the same order. A name that no released model has is kept as it is.
    """
    state_dict = {re.sub(r'^module\.', '', name): tensor for name, tensor in state_dict.items()}
    # A fish of N stages in each part has the stages 0 ... 3N.
    num_stages = max(int(match[1]) for match in map(re.compile(r'fish\.fish\.(\d+)').match, state_dict) if match) // 3
    return {_rename(name, num_stages) or name: tensor for name, tensor in state_dict.items()}


def as_classifier_weights(state_dict: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """The weights of a released model under the names of our classifier: ``backbone.`` and ``cls_head.``.

    Args:
        state_dict (dict[str, Tensor]): Weights of a released model, or any others, which keep their names.

    Returns:
        dict[str, Tensor]: The same tensors in the same order.
    """
    if not is_released(state_dict):
        return dict(state_dict)
    renamed = rename_released(state_dict)
    return {f'backbone.{name}' if name.startswith(PARTS) else name: tensor for name, tensor in renamed.items()}


def _rename(name: str, num_stages: int) -> Optional[str]:
    if match := re.fullmatch(r'conv(\d)\.([01])\.(\w+)', name):
        number, member, kind = match.groups()
        return f'stem.{STEM[member]}{number}.{kind}'
    match = re.fullmatch(r'fish\.fish\.(\d+)\.(.+)\.(\w+)', name)
    if not match:
        return None
    stage, rest, kind = int(match[1]), match[2], match[3]
    if stage == 3 * num_stages and rest in SCORE:
        return f'cls_head.{SCORE[rest]}.{kind}'
    if stage == num_stages and rest in BRIDGE:
        return f'bridge.{BRIDGE[rest]}.{kind}'
    match = re.fullmatch(r'(\d)\.(\d+)\.(bn|conv|shortcut\.0|shortcut\.2)(\d?)', rest)
    part = match and _part(stage, int(match[1]), num_stages)
    if not part:
        return None
    _, index, member, number = match.groups()
    return f'{part}.{index}.{UNIT[member]}{number}.{kind}'


def _part(stage: int, slot: int, num_stages: int) -> Optional[str]:
    if stage < num_stages:
        return {0: f'tail.stage{stage + 1}'}.get(slot)
    if stage == num_stages:
        return {2: 'bridge.refine'}.get(slot)
    block = {0: 'refine', 1: 'transfer'}.get(slot)
    part = f'body.stage{2 * num_stages + 1 - stage}' if stage <= 2 * num_stages else f'head.stage{stage - 2 * num_stages}'
    return block and f'{part}.{block}'
