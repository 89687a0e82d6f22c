"""``--cfg-options``: each must name a setting that the run reads. mmengine would add a misspelt one as a new setting."""

import inspect
from dataclasses import fields
from typing import Any, Iterator, List, Mapping, Optional, Tuple

from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, LogProcessor, Runner, TestLoop, ValLoop
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader

from ..errors import FishNetError
from ..models import Fish
from .config_tree import dotted, walk
from .config_types import SCALARS, Arguments, arguments_of, find_types, is_scalar, nearest, scalars_of


def _arguments(*kinds: Any) -> Tuple[str, ...]:
    return tuple(name for kind in kinds for name in inspect.signature(kind).parameters)


#: What a run reads of a config: the Runner's arguments, and more that mmengine, mmdet or our commands look for.
#: --launcher alone sets the launcher.
READ = {
    *_arguments(Runner), 'runner_type', 'strategy', 'compile', 'sync_bn', 'model_wrapper_cfg', 'find_unused_parameters',
    'tta_model', 'tta_pipeline',
} - {'cfg', 'launcher'}  # fmt: skip
LOADER = (*_arguments(DataLoader), 'num_batch_per_epoch')
#: More settings that a part of the config can have, by its path, or by the end of it.
MORE = {
    'train_dataloader': LOADER,
    'val_dataloader': LOADER,
    'test_dataloader': LOADER,
    'train_cfg': (*_arguments(EpochBasedTrainLoop, IterBasedTrainLoop), 'by_epoch', 'type'),
    'val_cfg': (*_arguments(ValLoop), 'type'),
    'test_cfg': (*_arguments(TestLoop), 'type'),
    'optim_wrapper': ('type', 'optimizer', 'accumulative_counts', 'clip_grad', 'constructor', 'paramwise_cfg'),
    'optim_wrapper.clip_grad': (*_arguments(clip_grad_norm_), 'type', 'clip_value'),
    'optim_wrapper.paramwise_cfg': (
        'custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'flat_decay_mult', 'dwconv_decay_mult',
        'dcn_offset_lr_mult', 'bypass_duplicate',
    ),
    'auto_scale_lr': ('enable', 'base_batch_size'),
    'randomness': ('seed', 'diff_rank_seed', 'deterministic'),
    'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    'env_cfg.dist_cfg': ('backend', 'timeout'),
    'log_processor': (*_arguments(LogProcessor), 'type'),
}  # fmt: skip
MORE_ANYWHERE = {
    'metainfo': ('classes', 'palette'),
    'filter_cfg': ('filter_empty_gt', 'min_size'),
    'data_prefix': ('img', 'img_path', 'seg'),
    'norm_cfg': ('requires_grad', 'num_groups'),
    'arch': tuple(field.name for field in fields(Fish)),
    'nms': ('type', 'iou_threshold', 'class_agnostic', 'split_thr', 'min_score', 'sigma', 'method', 'offset', 'max_num'),
}
#: Dicts whose keys are the user's.
OPEN = ('custom_keys',)
#: What mmengine takes out of a module's dict before it builds the module.
TAKEN_OUT = ('type', '_scope_', 'priority', 'convert_to_iter_based', 'bg_cls_weight')
INHERIT = 'A new setting belongs in a config file that inherits this one'


def apply_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Sets the settings of ``--cfg-options``, one after another: what a module takes depends on a type that is set before.

    Args:
        cfg (Config): The config; it is changed in place.
        options (Mapping[str, Any]): Value by dotted path.

    Raises:
        FishNetError: If a setting is not of the config, nor one that its module takes; or the value has another type than the
            setting. The message names the settings that resemble it.
    """
    for key, value in options.items():
        tree = cfg.to_dict()
        parts = tuple(key.split('.'))
        unknown = _first_unknown(tree, parts)
        if unknown is not None:
            raise FishNetError(f'--cfg-options {key}: {_about(tree, parts, unknown)}')
        if parts[0] not in READ:
            places = [dotted((*path, *parts[1:])) for path in _places_of(tree, tree[parts[0]])]
            hint = f': set {" or ".join(places[:3])}' if places else ': change it in a config file that inherits this one'
            raise FishNetError(
                f'--cfg-options {key} has no effect: {parts[0]} is a variable of the config file, which no run reads{hint}'
            )
        _check_value(tree, parts, value)
        cfg.merge_from_dict({key: value})


def _first_unknown(tree: Mapping, parts: Tuple[str, ...]) -> Optional[int]:
    """The index of the first part of a path that is no setting; None if all are."""
    node: Any = tree
    for i, part in enumerate(parts):
        if isinstance(node, Mapping) and part in node:
            node = node[part]
        elif isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, Mapping):
            if part == '_delete_' or parts[i - 1] in OPEN:
                return None
            if part not in _names(node, parts[:i]) and _kind(node).lacks(part):
                return i
            # A setting that the config leaves to its default. Its own settings are known only if they are in the table.
            node = {}
            if i + 1 < len(parts) and dotted(parts[: i + 1]) not in MORE:
                return None
        else:
            return i
    return None


def _kind(node: Mapping) -> Arguments:
    """The arguments of the class that a dict of the config names; none without a type."""
    return arguments_of(find_types(node) if 'type' in node else ())


def _names(node: Mapping, path: Tuple[str, ...]) -> set:
    """The settings that a dict of the config has or can have."""
    if not path:
        return READ | set(node)
    return {*node, *_kind(node).named, *TAKEN_OUT, *MORE.get(dotted(path), ()), *MORE_ANYWHERE.get(path[-1], ())}


def _about(tree: Mapping, parts: Tuple[str, ...], unknown: int) -> str:
    """What is wrong with a path, and the right one."""
    part, here = parts[unknown], parts[:unknown]
    node = _at(tree, here, {})
    where = dotted(here) if here else 'the config'
    if not isinstance(node, (Mapping, list)):
        return f'{where} is {node!r}, which has no setting {part!r}: set {where} as a whole'
    if isinstance(node, list):
        return f'{where} is a list of {len(node)}, which has no item {part!r}: its items are 0 to {len(node) - 1}'
    if 'type' in node:
        where = f'{where} ({node["type"]})'
    similar = list(_similar(tree, parts, unknown))[:1] or _ending_in(tree, parts)[:3]
    if similar:
        return f'{where} has no setting {part!r}; did you mean {" or ".join(similar)}?'
    names = _names(node, here) - set(TAKEN_OUT) if here else READ & set(tree)
    return f'{where} has no setting {part!r}; it has {", ".join(sorted(map(str, names)))}. {INHERIT}'


def _similar(tree: Mapping, parts: Tuple[str, ...], unknown: int) -> Iterator[str]:
    """Paths of settings, each with the wrong part of a path replaced by a name that resembles it."""
    node = _at(tree, parts[:unknown], {})
    for name in nearest(parts[unknown], map(str, _names(node, parts[:unknown])), 3):
        corrected = (*parts[:unknown], name, *parts[unknown + 1 :])
        again = _first_unknown(tree, corrected)
        if again is None:
            yield dotted(corrected)
        elif again > unknown:
            yield from _similar(tree, corrected, again)


def _ending_in(tree: Mapping, parts: Tuple[str, ...]) -> List[str]:
    """The settings whose paths end as a path does: optim_wrapper.optimizer.lr for lr. The shortest come first."""
    found = [path for path, _ in walk(tree) if path and path[0] in READ and path[-len(parts) :] == parts]
    return [dotted(path) for path in sorted(found, key=len)]


def _places_of(tree: Mapping, value: Any) -> List[tuple]:
    """Where the settings that a run reads have a value that a variable of the config file also has."""
    return [path for path, found in walk(tree) if path and path[0] in READ and found == value and type(found) is type(value)]


def _check_value(tree: Mapping, parts: Tuple[str, ...], value: Any) -> None:
    """Checks that a value can take the place of the one in the config.

    Raises:
        FishNetError: If a dict of settings would become something else, a switch no bool, or a number text.
    """
    old, owner = _at(tree, parts), _at(tree, parts[:-1])
    key = dotted(parts)
    if isinstance(old, dict) and value is not None:
        settings = ', '.join(f'{key}.{name}' for name in old)
        raise FishNetError(f'--cfg-options {key}={value}: {key} has settings of its own; set one of {settings}')
    argument = _kind(owner).named.get(parts[-1]) if isinstance(owner, Mapping) else None
    allowed = scalars_of(argument.annotation) if argument else None
    if type(old) not in SCALARS or type(value) not in SCALARS or allowed and is_scalar(value, allowed):
        return
    if type(old) is bool and type(value) is not bool:
        raise FishNetError(f'--cfg-options {key}={value}: {key} must be True or False')
    if type(old) in (int, float) and type(value) is str and parts[-1] != 'loss_scale':
        raise FishNetError(f'--cfg-options {key}={value}: {key} must be a number')


def _at(tree: Any, parts: Tuple[str, ...], default: Any = None) -> Any:
    """The value at a path of strings; ``default`` if the config leaves it out."""
    for part in parts:
        if isinstance(tree, Mapping) and part not in tree:
            return default
        tree = tree[int(part)] if isinstance(tree, (list, tuple)) else tree[part]
    return tree
