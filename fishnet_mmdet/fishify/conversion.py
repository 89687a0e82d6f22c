"""FishNet in the place of a ResNet: the conversion of a detector's config."""

import copy
from typing import Any, Iterator, List, Mapping, NamedTuple, Optional, Union

from mmengine.config import Config

from ..engine.config_tree import Path, at, dotted, type_of, walk
from ..engine.from_scratch import train_from_scratch
from ..errors import FishNetError
from ..models import FISHES, Fish, get_fish
from .backbone import Target, fishnet_for, is_pretrained, levels_of_same_strides
from .consumers import fit_consumers
from .inheritance import overrides
from .resnets import is_resnet
from .surroundings import import_fishnet, normalise_images, remarks, remove_load_from, remove_old_weights


class Changes(NamedTuple):
    """The difference between a config and the same config with FishNet."""

    overrides: dict
    """Settings of a config that inherits the old one: nested dicts, with ``_delete_`` where nothing is inherited."""
    notes: List[str]
    """Settings that FishNet has no counterpart for, and other facts that the user should know."""


def fishify(
    cfg: Union[Config, Mapping],
    depth: Optional[int] = 150,
    checkpoint: Optional[str] = None,
    arch: Union[Mapping, Fish, None] = None,
    from_scratch: bool = False,
) -> Changes:
    """Replaces each ResNet of a config by FishNet, and adapts the modules that take its features.

    FishNet outputs levels of the same strides. Modules that list the old channels get the new ones: the neck or, without a
    neck, the heads. A detector of one level without a neck gets one, a 1x1 convolution to the channels that its heads take.
    ``cfg`` itself is not changed.

    Args:
        cfg (Config | Mapping): The config, with a ``model``. New-style configs (``read_base``) are allowed.
        depth (int, optional): 99, 150 or 201; None for a custom architecture.
        checkpoint (str, optional): The pretrained weights, as ``FishNetPretrained`` takes them. Default: the released weights
            by name (``fishnet150``); no weights if the config trains its ResNet from scratch, or with an ``arch``.
        arch (Mapping | Fish, optional): Changes to the architecture, or a custom one, as FishNet takes them.
        from_scratch (bool): Whether to train without pretrained weights; see :func:`train_from_scratch`.

    Returns:
        Changes: What changes, and notes.

    Raises:
        FishNetError: If the config has no ResNet, FishNet cannot replace it, the depth does not exist, or ``checkpoint`` and
            ``from_scratch`` are both given.

    Example:
        >>> from mmengine.hub import get_config
        >>> from fishnet_mmdet.fishify import fishify
        >>> cfg = get_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
        >>> cfg.merge_from_dict(fishify(cfg, depth=99).overrides)
        >>> cfg.model.backbone.type, cfg.model.neck.in_channels
        ('FishNet', [320, 832, 1600, 2112])
    """
    if from_scratch and checkpoint is not None:
        raise FishNetError(f'from_scratch=True uses no weights, but checkpoint={checkpoint!r} is given: remove one of the two')
    fish = get_fish(depth, arch, {number: fish for number, fish in FISHES.items() if fish.stem_stride == 4})
    target = Target(depth, arch, fish, checkpoint, from_scratch)
    old = cfg.to_dict() if isinstance(cfg, Config) else cfg
    if not isinstance(old.get('model'), Mapping):
        raise FishNetError('the config has no model: give a config that trains a detector')

    new = copy.deepcopy(old)
    new['custom_imports'] = import_fishnet(old.get('custom_imports'))
    notes, replaced, kept, without_weights = [], [], [], []
    for place in _backbones(old['model'], ('model',)):
        reason = _reason_to_keep(old, place)
        if reason is not None:
            kept.append((place, reason))
            continue
        replaced.append(place)
        weights = target.weights(is_pretrained(old, place))
        if weights is None:
            without_weights.append(place)
        notes += _replace(new, place, target, weights)
    if not replaced:
        found = '; '.join(f'{dotted(place)} is {reason}' for place, reason in kept) or 'the model has no backbone'
        raise FishNetError(f'the config has no ResNet or ResNeXt that FishNet can replace: {found}')

    notes += [f'{dotted(place)} stays {reason}' for place, reason in kept]
    notes += remove_load_from(new)
    if without_weights:
        notes += train_from_scratch(new, without_weights)
    notes += remarks(new)
    return Changes(overrides(old, new), list(dict.fromkeys(notes)))


def _backbones(value: Any, path: Path) -> Iterator[Path]:
    """Where the backbones are: ``backbone``, ``teacher_backbone`` ..."""
    for place, found in walk(value, path):
        # A neck with a backbone inside (RFP) is refused where the necks are adapted.
        if str(place[-1]).endswith('backbone') and isinstance(found, Mapping) and 'type' in found and 'neck' not in place:
            yield place


def _reason_to_keep(cfg: Mapping, place: Path) -> Optional[str]:
    """What a backbone is that FishNet does not replace: 'a SwinTransformer'."""
    backbone = at(cfg, place)
    name = f'a {type_of(backbone)[0]}'
    if not is_resnet(backbone):
        return name
    # The checkpoint of a teacher fits the teacher's own network only.
    has_checkpoint = any(
        str(key).startswith('teacher') and at(cfg, place[:i]).get('teacher_ckpt') for i, key in enumerate(place)
    )
    return f'{name}, of a teacher with a checkpoint' if has_checkpoint else None


def _replace(cfg: dict, place: Path, target: Target, checkpoint: Optional[str]) -> List[str]:
    """Puts FishNet at ``place`` and adapts what belongs to it, in place; returns notes."""
    resnet = at(cfg, place)
    levels, notes = levels_of_same_strides(resnet, place, target.fish)
    fishnet, about_arguments = fishnet_for(resnet, place, target, levels, checkpoint)
    notes += about_arguments
    at(cfg, place[:-1])[place[-1]] = fishnet
    notes += fit_consumers(cfg, place, resnet, [target.fish.head_features[level] for level in levels])
    for length in range(len(place) - 1, 0, -1):
        notes += remove_old_weights(cfg, place[:length])
        if 'in_channels' not in fishnet:
            notes += normalise_images(cfg, place[:length])
    return notes
