"""One walk over a config before a run: types, arguments and numbers that would stop it later, or never."""

import math
from fnmatch import fnmatchcase
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Sequence, Tuple

from mmengine.config import Config

from ..errors import FishNetError
from ..models import FISHES, FISHNEXTS, get_fish
from .config_tree import Path, dotted, type_of, walk
from .config_types import arguments_of, find_types, is_scalar, nearest, registered, scalars_of
from .options import MORE, READ, TAKEN_OUT


class Rule(NamedTuple):
    """What a value must be."""

    words: str
    holds: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


POSITIVE = Rule('a whole number of at least 1', lambda value: type(value) is int and value > 0)
POSITIVE_OR_NONE = Rule('a whole number of at least 1, or None', lambda value: value is None or POSITIVE.holds(value))
POSITIVE_OR_NEVER = Rule('a whole number of at least 1, or -1 for never', lambda value: value == -1 or POSITIVE.holds(value))
NATURAL = Rule('a whole number of at least 0', lambda value: type(value) is int and value >= 0)
NATURAL_OR_NONE = Rule('a whole number of at least 0, or None', lambda value: value is None or NATURAL.holds(value))
AT_LEAST_ONE = Rule('a number of at least 1', lambda value: _is_number(value) and value >= 1)
NUMBER = Rule('a number of at least 0', lambda value: _is_number(value) and value >= 0)
SWITCH = Rule('True or False', lambda value: type(value) is bool)
TEXT_OR_NONE = Rule('a file or URL, or None', lambda value: value is None or type(value) is str)
#: Values by their paths, where * is anything. The first row that fits holds.
RULES = {
    'train_cfg.max_epochs': POSITIVE,
    'train_cfg.max_iters': POSITIVE,
    'train_cfg.val_interval': AT_LEAST_ONE,
    'train_cfg.val_begin': NATURAL,
    '*_dataloader.batch_size': POSITIVE_OR_NONE,
    '*_dataloader.num_workers': NATURAL,
    '*_dataloader.prefetch_factor': POSITIVE_OR_NONE,
    '*_dataloader.timeout': NUMBER,
    'optim_wrapper.optimizer.lr': NUMBER,
    'optim_wrapper.optimizer.momentum': NUMBER,
    'optim_wrapper.optimizer.weight_decay': NUMBER,
    'optim_wrapper.accumulative_counts': POSITIVE,
    'optim_wrapper.clip_grad.max_norm': NUMBER,
    'default_hooks.checkpoint.interval': POSITIVE_OR_NEVER,
    'default_hooks.checkpoint.max_keep_ckpts': POSITIVE_OR_NEVER,
    'default_hooks.logger.interval': POSITIVE,
    'auto_scale_lr.enable': SWITCH,
    'auto_scale_lr.base_batch_size': POSITIVE,
    'randomness.seed': NATURAL_OR_NONE,
    'resume': SWITCH,
    'load_from': TEXT_OR_NONE,
    'model*.num_classes': POSITIVE,
}
#: Modules whose arguments are those of their class. Others are built by functions that take some out, or add some.
CHECKED = ('mmdet.', 'fishnet_mmdet.', 'mmengine.hooks.', 'mmengine.optim.', 'mmengine.visualization.', 'torch.optim.')
#: Settings with a type that is in no registry, or whose other keys are not the arguments of the type; also modules whose
#: parts are of another package.
NOT_BUILT = ('roi_layer', 'upsample_cfg', 'override', 'metainfo', 'plugins')
OF_OTHER_PACKAGES = ('Albu',)
#: Scopes whose types are all registered when a config is checked. mmengine imports other packages when it builds from them.
SCOPES = ('mmengine', 'mmcv', 'mmdet', 'fishnet_mmdet')


def check_config(cfg: Config, needed: Sequence[str] = ('model',)) -> None:
    """Checks a config before a run.

    Args:
        cfg (Config): The config, with all changes of a command.
        needed (Sequence[str]): Settings without which the command cannot run.

    Raises:
        FishNetError: If one is missing, a type is in no registry, a class does not take an argument, a value is not of the
            type that its class declares or that a run needs, or a neck does not fit its FishNet. The message names the place.
    """
    tree = cfg.to_dict()
    missing = [name for name in needed if tree.get(name) is None]
    if missing:
        raise FishNetError(
            f'the config {cfg.filename or ""} has no {missing[0]}: it needs {", ".join(needed)}; give the config of a training'
        )
    tree = {name: value for name, value in tree.items() if name in READ}
    for path, value in walk(tree):
        _check_value(path, value)
    modules = list(_modules(tree))
    for path, module in modules:
        _check_module(path, module)
    for path, module in modules:
        if 'backbone' in module:
            _check_neck(module, path)


def _modules(value: Any, path: Path = ()) -> Iterator[Tuple[Path, Mapping]]:
    """The modules that mmengine and mmdet build of a part of a config, the outer ones first."""
    if isinstance(value, Mapping):
        if 'type' in value:
            yield path, value
            if str(value['type']).rpartition('.')[2] in OF_OTHER_PACKAGES:
                return
        items = [(name, item) for name, item in value.items() if name not in NOT_BUILT]
    else:
        items = enumerate(value) if isinstance(value, (list, tuple)) else ()
    for name, item in items:
        yield from _modules(item, (*path, name))


def _check_value(path: Path, value: Any) -> None:
    place = dotted(path)
    if isinstance(value, float) and math.isnan(value):
        raise FishNetError(f'{place} is nan: give a number')
    rule = next((rule for pattern, rule in RULES.items() if fnmatchcase(place, pattern)), None)
    if rule and not rule.holds(value):
        raise FishNetError(f'{place} must be {rule.words}, not {value!r}')


def _check_module(path: Path, module: Mapping) -> None:
    place = dotted(path)
    kinds = find_types(module)
    scope, _, name = str(module['type']).rpartition('.')
    if not kinds and (name[:1].islower() or scope and scope not in SCOPES):
        # A choice between functions, such as type='nms', or a type of a package that mmengine has not imported yet.
        return
    if not kinds:
        similar = nearest(name, registered())
        hint = f'did you mean {similar[0]}?' if similar else 'a package of your own with it belongs in custom_imports'
        raise FishNetError(f'{place}.type {module["type"]!r} is in no registry: {hint}')
    if not all(f'{getattr(kind, "__module__", "")}.'.startswith(CHECKED) for kind in kinds):
        return
    arguments = arguments_of(kinds)
    names = {*arguments.named, *MORE.get(place, ())}
    for name, value in module.items():
        if name not in names and name not in TAKEN_OUT and arguments.lacks(name):
            similar = nearest(str(name), names)
            hint = f'did you mean {similar[0]}?' if similar else f'it takes {", ".join(sorted(names))}'
            raise FishNetError(f'{place}: {type_of(module)[0]} has no argument {name!r}; {hint}')
        allowed = scalars_of(arguments.named[name].annotation) if name in arguments.named and len(kinds) == 1 else None
        # mmdet's own configs give floats to what its classes declare as int, and tuples to float.
        is_exact = allowed == {bool} or kinds[0].__module__.startswith('fishnet_mmdet.')
        if value is not None and allowed and is_exact and not is_scalar(value, allowed):
            words = ' or '.join('True or False' if kind is bool else kind.__name__ for kind in allowed)
            raise FishNetError(f'{place}.{name} must be {words}, not {value!r}')


def _check_neck(owner: Mapping, path: Path) -> None:
    """Checks that the neck beside a FishNet takes the channels that the FishNet returns."""
    channels = _channels(owner['backbone'])
    place: Path = (*path, 'neck')
    neck = owner.get('neck')
    if isinstance(neck, (list, tuple)) and neck:
        neck, place = neck[0], (*place, 0)
    if not channels or not isinstance(neck, Mapping) or 'in_channels' not in neck:
        return
    given = neck['in_channels']
    fits = given in channels if isinstance(given, int) else list(given) == channels
    if not fits:
        raise FishNetError(
            f'{dotted(place)}.in_channels is {given}, but {dotted((*path, "backbone"))} returns {channels}: '
            f'set {dotted(place)}.in_channels to {channels}'
        )


def _channels(backbone: Any) -> list:
    """Channels of the outputs of a FishNet; none for other backbones, and for one whose arguments its own checks refuse."""
    if not isinstance(backbone, Mapping) or type_of(backbone)[0] not in ('FishNet', 'FishNeXt'):
        return []
    variants = FISHES if type_of(backbone)[0] == 'FishNet' else FISHNEXTS
    fish = get_fish(backbone.get('depth', 150), backbone.get('arch'), variants)
    try:
        return [fish.head_features[i] for i in backbone.get('out_indices', (0, 1, 2, 3))]
    except (TypeError, IndexError):
        return []
