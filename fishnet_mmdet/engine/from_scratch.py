"""A detector's config without pretrained weights: ``tools/train.py --from-scratch``."""

import inspect
from math import gcd
from typing import Any, Iterator, List, Mapping, MutableMapping, Optional, Sequence, Union

from mmdet.registry import MODELS
from mmengine.config import Config

from ..errors import FishNetError
from .config_tree import Path, at, dotted, type_of, walk

FISHNETS = ('FishNet', 'FishNeXt')
BATCH_NORMS = ('BN', 'BN2d', 'SyncBN', 'MMSyncBN', 'NaiveSyncBN')
#: Each residual unit starts as its shortcut, as in Goyal et al. 2017 (arXiv:1706.02677, section 5.1).
INIT_CFG = [
    dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu'),
    dict(type='Constant', layer='_BatchNorm', val=1, bias=0),
    dict(type='ZeroInitResidual'),
]
#: Groups of GN in mmdet's own configs for training from scratch (He et al. 2019, arXiv:1811.08883).
GROUPS = 32


def train_from_scratch(cfg: Union[Config, MutableMapping], places: Optional[Sequence[Path]] = None) -> List[str]:
    """Changes a detector's config in place, so that its FishNet trains from random weights.

    All of the backbone is trained, BN included: frozen BN needs pretrained statistics. The head's features have no last
    normalisation and are large on random weights, so the neck and the mask head get GN if they have no normalisation and
    their class takes one. Gradient clipping goes on until the end (``StopGradClipHook`` is removed). The settings are those
    of ``mask_rcnn_fishnet150_fpn_scratch.py``.

    Args:
        cfg (Config | MutableMapping): The config, with a ``model``.
        places (Sequence[Path], optional): Paths of the FishNets to change. Default: all, except those of a teacher, which
            brings its own weights.

    Returns:
        list[str]: What the user should know about the changes, in sentences.

    Raises:
        FishNetError: If the model has no FishNet.
    """
    places = list(_fishnets(cfg)) if places is None else places
    if not places:
        raise FishNetError(
            "the model has no FishNet that could be trained from scratch: to put one in the place of a config's ResNet, use "
            'tools/model_converters/fishify.py --from-scratch'
        )
    notes = []
    for place in places:
        _train_everything(at(cfg, place))
        notes.append(f'{dotted(place)} is trained from scratch: all stages and normalisation layers are trained')
        notes += _normalise_neck_and_mask_head(cfg, place)
        for length in range(1, len(place)):
            notes += _remove_weights_of_the_model(at(cfg, place[:length]), place[:length])
    if cfg.get('load_from'):
        notes.append(f'load_from={cfg["load_from"]!r} is removed')
        cfg['load_from'] = None
    hooks = cfg.get('custom_hooks') or []
    kept = [hook for hook in hooks if not isinstance(hook, Mapping) or type_of(hook)[0] != 'StopGradClipHook']
    if len(kept) < len(hooks):
        notes.append('custom_hooks: StopGradClipHook is removed, so gradients are clipped in all epochs')
        cfg['custom_hooks'] = kept
    return notes


def is_loaded(init_cfg: Any) -> bool:
    """Whether an ``init_cfg`` loads a checkpoint."""
    return isinstance(init_cfg, Mapping) and type_of(init_cfg)[0] == 'Pretrained'


def _fishnets(cfg: Mapping) -> Iterator[Path]:
    for path, value in walk(cfg.get('model'), ('model',)):
        is_fishnet = isinstance(value, Mapping) and 'type' in value and type_of(value)[0] in FISHNETS
        if is_fishnet and not any(str(key).startswith('teacher') for key in path):
            yield path


def _train_everything(backbone: MutableMapping) -> None:
    norm_cfg = dict(backbone.get('norm_cfg') or dict(type='BN'))
    if norm_cfg['type'] in BATCH_NORMS:
        norm_cfg['requires_grad'] = True
    backbone.update(norm_cfg=norm_cfg, norm_eval=False, frozen_stages=-1, init_cfg=[dict(step) for step in INIT_CFG])


def _normalise_neck_and_mask_head(cfg: Mapping, place: Path) -> Iterator[str]:
    """Gives GN to the parts of a backbone's detector that have no normalisation and can have one."""
    *above, key = place
    neck = str(key).replace('backbone', 'neck')
    for path, module in walk(at(cfg, tuple(above)), tuple(above)):
        if not isinstance(module, MutableMapping) or 'type' not in module or not _lacks_norm(module):
            continue
        # The last name in the path, since a neck or a mask head may be a list of modules.
        name = next(part for part in reversed(path) if isinstance(part, str))
        if name == neck and path[len(above)] == neck:
            channels = module.get('out_channels')
        elif name == 'mask_head':
            channels = module.get('conv_out_channels', 256)
        else:
            continue
        if isinstance(channels, int):
            module['norm_cfg'] = dict(type='GN', num_groups=gcd(GROUPS, channels), requires_grad=True)
            yield f'{dotted(path)} gets GN with {gcd(GROUPS, channels)} groups'


def _lacks_norm(module: Mapping) -> bool:
    """Whether a module is built without normalisation, and its class takes a ``norm_cfg``."""
    if module.get('norm_cfg') is not None:
        return False
    kind = MODELS.get(module['type']) if isinstance(module['type'], str) else module['type']
    for cls in getattr(kind, '__mro__', ()):
        if '__init__' not in vars(cls):
            continue
        parameters = inspect.signature(cls.__init__).parameters
        if 'norm_cfg' in parameters:
            return parameters['norm_cfg'].default is None
        # A class that passes its keywords on takes what its base class takes.
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters.values()):
            return False
    return False


def _remove_weights_of_the_model(owner: Any, path: Path) -> Iterator[str]:
    if isinstance(owner, MutableMapping) and is_loaded(owner.get('init_cfg')):
        yield f'{dotted(path)}.init_cfg is removed: it loads {owner["init_cfg"].get("checkpoint")}'
        owner['init_cfg'] = None
