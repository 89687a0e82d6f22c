"""FishNet in the place of a ResNet: what changes in a detector's config."""

from itertools import accumulate
from operator import mul
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from mmengine.config import Config

from .errors import FishNetError
from .models import FISHES, Fish, get_fish

#: Where something stands in a config: keys, and indices where there is a list.
Path = Tuple[Union[str, int], ...]

#: ResNet, and the networks that mmdet derives from it: they put out the same levels, and are told in the same way which.
RESNETS = ('ResNet', 'ResNetV1d', 'ResNeXt', 'Res2Net', 'ResNeSt', 'RegNet', 'DetectoRS_ResNet', 'DetectoRS_ResNeXt')
#: What these networks do where their config says nothing, by the package that they are in.
DEFAULTS = {
    'mmdet': dict(out_indices=(0, 1, 2, 3), norm_eval=True),
    'mmpretrain': dict(out_indices=(3,), norm_eval=False),
}
#: Arguments that FishNet has too, and those that only say which ResNet it is. The loss of any other is worth a note.
UNDERSTOOD = (
    *('type', 'depth', 'out_indices', 'frozen_stages', 'norm_cfg', 'norm_eval', 'with_cp', 'init_cfg', 'pretrained'),
    *('arch', 'style', 'num_stages', 'strides', 'dilations', 'stem_channels', 'base_channels', 'deep_stem', 'avg_down'),
    *('groups', 'base_width', 'scales', 'radix', 'reduction_factor', 'avg_down_stride', 'zero_init_residual', 'output_img'),
    *('stage_with_dcn', 'stage_with_sac'),
)
BATCH_NORMS = ('BN', 'BN2d', 'SyncBN', 'MMSyncBN', 'NaiveSyncBN')
#: Most groups of GN that divide all channels of the released depths.
MOST_GROUPS = 16
#: What the released models were trained with.
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
PARTS = ('stem', 'tail', 'bridge', 'body', 'head')


class Changes(NamedTuple):
    """What makes a config one with FishNet."""

    overrides: dict
    """What a config that inherits the old one says: nested dicts, with ``_delete_`` where nothing is to be inherited."""
    notes: List[str]
    """What FishNet has no counterpart for, and what else one should know."""


def fishify(
    cfg: Union[Config, Mapping],
    depth: Optional[int] = 150,
    checkpoint: Optional[str] = None,
    arch: Union[Mapping, Fish, None] = None,
) -> Changes:
    """Puts FishNet in the place of each ResNet of a config, and fits to it what takes its features.

    FishNet puts out the levels of the same strides. What lists the old channels gets the new ones: the neck, or, where there
    is none, the heads. A detector of one level without a neck gets one, a 1x1 convolution to the channels that its heads are
    made for. ``cfg`` itself stays as it is.

    Args:
        cfg (Config | Mapping): The config, with a ``model``.
        depth (int, optional): 99, 150 or 201; None for a custom architecture.
        checkpoint (str, optional): The pretrained weights. The default is the released file in ``checkpoints/``. With an
            ``arch``, or if the config trains from scratch, the default is none.
        arch (Mapping | Fish, optional): Changes to the architecture, or a custom one, as FishNet takes them.

    Returns:
        Changes: What changes, and what to know about it.

    Raises:
        FishNetError: If the config has no ResNet, or one that FishNet cannot take the place of, or there is no such depth.

    Example:
        >>> from mmengine.hub import get_config
        >>> from fishnet_mmdet.fishify import fishify
        >>> cfg = get_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
        >>> cfg.merge_from_dict(fishify(cfg, depth=99).overrides)
        >>> cfg.model.backbone.type, cfg.model.neck.in_channels
        ('FishNet', [320, 832, 1600, 2112])
    """
    fish = get_fish(depth, arch, {number: fish for number, fish in FISHES.items() if fish.stem_stride == 4})
    cfg = cfg.to_dict() if isinstance(cfg, Config) else cfg
    if not isinstance(cfg.get('model'), Mapping):
        raise FishNetError('the config has no model')
    conversion = _Conversion(cfg, depth, arch, fish, checkpoint)
    replaced, others = [], []
    for path in _backbones(cfg['model'], ('model',)):
        name, package = _type_of(_at(cfg, path))
        if name not in RESNETS or package not in DEFAULTS:
            others.append(f'{_dotted(path)} is a {name}')
        elif conversion.has_weights_of_a_teacher(path):
            others.append(f'{_dotted(path)} is a {name}, of a teacher with weights')
        else:
            conversion.replace(path)
            replaced.append(path)
    if not replaced:
        found = '; '.join(others) or 'the model has no backbone'
        raise FishNetError(f'there is no ResNet or ResNeXt that FishNet could take the place of: {found}')
    conversion.notes += [f'{other}, and stays that' for other in others]
    conversion.look_around()
    return Changes(_override(cfg, conversion.changes), list(dict.fromkeys(conversion.notes)))


class _Conversion:
    """Collects what changes, by path."""

    def __init__(
        self,
        cfg: Mapping,
        depth: Optional[int],
        arch: Union[Mapping, Fish, None],
        fish: Fish,
        checkpoint: Optional[str],
    ) -> None:
        self.cfg = cfg
        self.depth = depth
        self.arch = arch
        self.fish = fish
        self.checkpoint = checkpoint
        self.changes: Dict[Path, Any] = {('custom_imports',): _with_ours(cfg.get('custom_imports'))}
        self.notes: List[str] = []

    def has_weights_of_a_teacher(self, path: Path) -> bool:
        """Whether a backbone is part of a teacher that comes with a checkpoint, which no other network would fit."""
        return any(
            str(key).startswith('teacher') and _at(self.cfg, path[:i]).get('teacher_ckpt') for i, key in enumerate(path)
        )

    def replace(self, path: Path) -> None:
        """Puts FishNet in the place of the backbone at ``path``."""
        old = _at(self.cfg, path)
        if old.get('in_channels', 3) != 3:
            raise FishNetError(f'{_dotted(path)} takes images of {old["in_channels"]} channels; FishNet takes 3')
        old_levels, levels = self._levels(path)
        self.changes[path] = self._network(path, levels)
        self._fit_consumers(path, old_levels, [self.fish.head_features[level] for level in levels])
        for length in range(len(path) - 1, 0, -1):
            self._drop_old_weights(path[:length])
            self._normalise(path[:length])

    def look_around(self) -> None:
        """What is outside of the model, or is left of the old network in it."""
        if self.cfg.get('load_from'):
            self.changes['load_from',] = None
            self.notes.append(f'load_from={self.cfg["load_from"]!r} is left out: it holds the model with its old backbone')
        keys = ((self.cfg.get('optim_wrapper') or {}).get('paramwise_cfg') or {}).get('custom_keys') or {}
        for key in keys:
            part = key.partition('backbone.')[2].partition('.')[0]
            if part and part not in PARTS:
                self.notes.append(
                    f'optim_wrapper has a rule for {key!r}, a part that FishNet has not: its parts are {", ".join(PARTS)}'
                )
        for path, value in _walk(self.cfg['model'], ('model',)):
            remote = isinstance(value, str) and '://' in value
            if remote and path[-1] in ('checkpoint', 'teacher_ckpt', 'pretrained') and not self._is_changed(path):
                self.notes.append(f'{_dotted(path)} stays, which mmdet downloads at the start: {value}')
            elif path[-1] == 'teacher_config' and isinstance(value, str):
                self.notes.append(f'{_dotted(path)} stays, which mmdet looks for in the folder that it is started in: {value}')

    def _is_changed(self, path: Path) -> bool:
        return any(path[: len(changed)] == changed for changed in self.changes)

    def _levels(self, path: Path) -> Tuple[List[int], List[int]]:
        """The levels that the old network puts out, and the new one's of the same strides."""
        old = _at(self.cfg, path)
        levels = list(old.get('out_indices', DEFAULTS[_type_of(old)[1]]['out_indices']))
        strides = list(self.fish.strides)
        if 'strides' in old:
            strides = [4 * stride for stride in accumulate(old['strides'], mul)]
        wanted = [strides[level] for level in levels]
        if any(stride not in self.fish.strides for stride in wanted) or len(set(wanted)) < len(wanted):
            raise FishNetError(
                f'{_dotted(path)} puts out features of strides {_listed(wanted)}; FishNet has one of each of '
                f'{_listed(self.fish.strides)}'
            )
        ours = [self.fish.strides.index(stride) for stride in wanted]
        if ours != levels:
            self.notes.append(
                f'{_dotted(path)} put out level {_listed(levels)} at stride {_listed(wanted)}, where FishNet has level '
                f'{_listed(ours)}'
            )
        return levels, ours

    def _network(self, path: Path, levels: List[int]) -> dict:
        """FishNet, with what can be kept of the old network's arguments."""
        old = _at(self.cfg, path)
        new = dict(type='FishNet', depth=self.depth)
        if self.arch is not None:
            new['arch'] = self.arch
        if levels != list(range(self.fish.num_stages + 1)):
            new['out_indices'] = tuple(levels)

        norm_cfg = dict(old.get('norm_cfg') or dict(type='BN', requires_grad=True))
        norm_eval = old.get('norm_eval', DEFAULTS[_type_of(old)[1]]['norm_eval'])
        is_batch_norm = norm_cfg['type'] in BATCH_NORMS
        checkpoint = self.checkpoint
        if checkpoint is None and self.arch is None and self._is_pretrained(path):
            checkpoint = f'checkpoints/fishnet{self.depth}_ckpt.tar'
        frozen = old.get('frozen_stages', -1)
        # Both count the stem as 0. The first stage, which mmdet freezes in a ResNet, learns in the paper's FishNet.
        frozen = max(frozen - 1, min(frozen, 0))

        if checkpoint is None:
            self.notes.append(f'{_dotted(path)} is trained from scratch')
            if is_batch_norm:
                norm_cfg['requires_grad'] = True
            elif norm_cfg.get('num_groups', 0) > MOST_GROUPS:
                self.notes.append(
                    f'{_dotted(path)}.norm_cfg has {MOST_GROUPS} groups instead of {norm_cfg["num_groups"]}, which do not '
                    'divide all of its channels'
                )
                norm_cfg['num_groups'] = MOST_GROUPS
            new.update(norm_cfg=norm_cfg, norm_eval=False)
        elif not is_batch_norm:
            self.notes.append(f'{_dotted(path)}.norm_cfg={norm_cfg} is left out: the released FishNets have fixed BN')
        elif not norm_eval:
            new.update(norm_cfg=norm_cfg, norm_eval=False)
        if frozen:
            new['frozen_stages'] = frozen
        if old.get('with_cp'):
            new['with_cp'] = True
        if checkpoint is not None:
            new['init_cfg'] = dict(type='FishNetPretrained', checkpoint=checkpoint)
        for key, value in old.items():
            if key not in UNDERSTOOD and value is not None:
                self.notes.append(f'{_dotted(path)}.{key} is left out: {_short(value)}')
        return new

    def _is_pretrained(self, path: Path) -> bool:
        """Whether the old network starts with weights from somewhere."""
        owners = [_at(self.cfg, path[:length]) for length in range(1, len(path) + 1)]
        return bool(self.cfg.get('load_from') or owners[-1].get('pretrained')) or any(
            _is_loaded(owner.get('init_cfg')) for owner in owners if isinstance(owner, Mapping)
        )

    def _fit_consumers(self, path: Path, old_levels: List[int], channels: List[int]) -> None:
        """Gives the new channels to what takes the features: the neck, or heads that list them."""
        *above, key = path
        above = tuple(above)
        owner = _at(self.cfg, above)
        neck_path = (*above, key.replace('backbone', 'neck'))
        neck = owner.get(neck_path[-1])
        if isinstance(neck, Sequence) and neck:
            neck, neck_path = neck[0], (*neck_path, 0)
        if neck and 'rfp_backbone' in neck:
            raise FishNetError(
                f'the {_type_of(neck)[0]} at {_dotted(neck_path)} feeds its features back into a backbone that is made for '
                'that, which FishNet is not: take a config with another neck'
            )
        old_channels = _channels_of(_at(self.cfg, path), old_levels)
        if neck and 'in_channels' in neck:
            self.changes[(*neck_path, 'in_channels')] = self._fitted(neck_path, neck, old_channels, channels)
            return
        takers = [
            (*place, 'in_channels')
            for name in owner
            if name != key
            for place, value in _walk(owner[name], (*above, name))
            if isinstance(value, Mapping) and _is_any_of(value.get('in_channels'), old_channels)
        ]
        lists = [taker for taker in takers if not isinstance(_at(self.cfg, taker), int)]
        if lists:
            self.changes.update({taker: list(channels) for taker in lists})
        elif takers and neck:
            # A neck that keeps the channels, as pooling does.
            self.changes.update({taker: channels[-1] for taker in takers})
        elif takers and len(channels) == 1:
            self.changes[neck_path] = dict(
                type='ChannelMapper', in_channels=list(channels), out_channels=old_channels[0], kernel_size=1, act_cfg=None
            )
            self.notes.append(
                f'{_dotted(neck_path)} is new: a 1x1 convolution from {channels[0]} to the {old_channels[0]} channels that '
                'the heads are made for'
            )
        else:
            raise FishNetError(
                f'{_dotted(above)} has neither a neck nor a head that says with in_channels={old_channels} that it takes the '
                f'features of the {_type_of(_at(self.cfg, path))[0]}: what to change for FishNet is not known'
            )

    def _fitted(self, path: Path, neck: Mapping, old: List[int], new: List[int]) -> Union[int, List[int]]:
        """The ``in_channels`` of a neck."""
        given = neck['in_channels']
        if isinstance(given, int):
            return new[old.index(given) if given in old else -1]
        if len(given) != len(new):
            raise FishNetError(
                f'{_dotted(path)} takes {len(given)} features, in_channels={list(given)}, and gets {len(new)} of the backbone'
            )
        return list(new)

    def _drop_old_weights(self, path: Path) -> None:
        """Leaves out a checkpoint of a whole model, of which the old network is a part."""
        init_cfg = _at(self.cfg, path).get('init_cfg') if isinstance(_at(self.cfg, path), Mapping) else None
        if _is_loaded(init_cfg):
            self.changes[(*path, 'init_cfg')] = None
            self.notes.append(
                f'{_dotted(path)}.init_cfg is left out: {init_cfg["checkpoint"]} holds the model with its old backbone'
            )

    def _normalise(self, path: Path) -> None:
        """Has the images normalised as the released FishNets expect them."""
        owner = _at(self.cfg, path)
        if not isinstance(owner, Mapping):
            return
        if path == ('model',) and 'data_preprocessor' not in owner:
            owner, path = self.cfg, ()
        for place, value in _walk(owner.get('data_preprocessor'), (*path, 'data_preprocessor')):
            if not isinstance(value, Mapping) or value.get('mean') is None:
                continue
            colours = 'to_rgb' if 'to_rgb' in value else 'bgr_to_rgb'
            if (list(value['mean']), list(value['std']), value.get(colours)) != (MEAN, STD, True):
                self.changes.update({(*place, 'mean'): list(MEAN), (*place, 'std'): list(STD), (*place, colours): True})
                self.notes.append(
                    f'{_dotted(place)} normalises as the released FishNets expect it, no longer with '
                    f'mean={list(value["mean"])}, std={list(value["std"])}, {colours}={value.get(colours, False)}'
                )


def _backbones(value: Any, path: Path) -> Iterator[Path]:
    """Where the backbones are: ``backbone``, ``teacher_backbone`` ..."""
    for place, found in _walk(value, path):
        # The one inside of a neck is that neck's affair.
        if str(place[-1]).endswith('backbone') and isinstance(found, Mapping) and 'type' in found and 'neck' not in place:
            yield place


def _walk(value: Any, path: Path) -> Iterator[Tuple[Path, Any]]:
    """A value and all that is in it, with their paths."""
    yield path, value
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, item in items:
        yield from _walk(item, (*path, key))


def _at(cfg: Any, path: Path) -> Any:
    for key in path:
        cfg = cfg[key]
    return cfg


def _dotted(path: Path) -> str:
    return '.'.join(map(str, path))


def _listed(numbers: Sequence[int]) -> str:
    return ', '.join(map(str, numbers))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f'{text[:197]}...'


def _type_of(module: Mapping) -> Tuple[str, str]:
    """Name and package of a module's type, which is a class in configs that import what they name."""
    kind = module['type']
    *package, name = (kind if isinstance(kind, str) else f'{kind.__module__}.{kind.__name__}').split('.')
    return name, package[0] if package else 'mmdet'


def _is_loaded(init_cfg: Any) -> bool:
    return isinstance(init_cfg, Mapping) and init_cfg.get('type') == 'Pretrained'


def _channels_of(resnet: Mapping, levels: List[int]) -> List[int]:
    """Channels of the features of a ResNet."""
    expansion = 1 if resnet.get('depth') in (18, 34) else 4
    return [resnet.get('base_channels', 64) * expansion * 2**level for level in levels]


def _is_any_of(in_channels: Any, channels: List[int]) -> bool:
    """Whether something takes these features, all or the last of them."""
    return in_channels == channels[-1] or isinstance(in_channels, (list, tuple)) and list(in_channels) == channels


def _with_ours(custom_imports: Optional[Mapping]) -> dict:
    """The ``custom_imports`` of a config, and this package."""
    imports = (custom_imports or {}).get('imports') or []
    imports = [imports] if isinstance(imports, str) else list(imports)
    return dict(
        imports=list(dict.fromkeys([*imports, 'fishnet_mmdet'])),
        allow_failed_imports=(custom_imports or {}).get('allow_failed_imports', False),
    )


def _override(base: Any, changes: Dict[Path, Any]) -> Any:
    """What an inheriting config says in the place of ``base`` for some changes, by their paths from there."""
    if not isinstance(base, Mapping):
        # Lists are not inherited item by item.
        return _changed(base, changes)
    overrides = {}
    for key in dict.fromkeys(path[0] for path in changes):
        if (key,) in changes:
            value = changes[key,]
            inherits = key in base and isinstance(value, Mapping)
            overrides[key] = dict(_delete_=True, **value) if inherits else value
        else:
            overrides[key] = _override(base[key], _below(changes, key))
    return overrides


def _changed(base: Any, changes: Dict[Path, Any]) -> Any:
    """``base`` itself with some changes."""
    if () in changes:
        return changes[()]
    if isinstance(base, Mapping):
        new = {key: _changed(value, _below(changes, key)) for key, value in base.items()}
        return {**new, **{path[0]: value for path, value in changes.items() if len(path) == 1}}
    if isinstance(base, (list, tuple)):
        return type(base)(_changed(value, _below(changes, index)) for index, value in enumerate(base))
    return base


def _below(changes: Dict[Path, Any], key: Union[str, int]) -> Dict[Path, Any]:
    return {path[1:]: value for path, value in changes.items() if path and path[0] == key}
