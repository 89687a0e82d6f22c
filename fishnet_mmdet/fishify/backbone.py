"""FishNet with what a ResNet and it have in common: levels, normalisation, frozen stages, weights."""

from typing import List, Mapping, NamedTuple, Optional, Tuple, Union

from ..engine.config_tree import Path, at, dotted
from ..engine.from_scratch import BATCH_NORMS, is_loaded
from ..errors import FishNetError
from ..models import Fish
from .resnets import UNDERSTOOD, argument, strides_of

#: The largest number of groups of GN that divides all channels of the released depths.
MOST_GROUPS = 16


class Target(NamedTuple):
    """The FishNet that the user asked for."""

    depth: Optional[int]
    arch: Union[Mapping, Fish, None]
    fish: Fish
    """The architecture that ``depth`` and ``arch`` describe."""
    checkpoint: Optional[str]
    """Pretrained weights."""
    from_scratch: bool
    """Whether to use no pretrained weights, even if the ResNet had some."""

    def weights(self, was_pretrained: bool) -> Optional[str]:
        """The checkpoint in the place of a ResNet that was pretrained or not."""
        if self.checkpoint is not None or self.from_scratch:
            return self.checkpoint
        # No weights were released for other architectures.
        return f'fishnet{self.depth}' if was_pretrained and self.arch is None else None


def is_pretrained(cfg: Mapping, place: Path) -> bool:
    """Whether the network at ``place`` starts with loaded weights, its own or those of a model around it."""
    around = [at(cfg, place[:length]) for length in range(1, len(place) + 1)]
    loaded = any(is_loaded(module.get('init_cfg')) for module in around if isinstance(module, Mapping))
    return bool(cfg.get('load_from') or around[-1].get('pretrained') or loaded)


def levels_of_same_strides(resnet: Mapping, place: Path, fish: Fish) -> Tuple[List[int], List[str]]:
    """FishNet's levels that have the strides of the ResNet's outputs; and notes.

    Raises:
        FishNetError: If FishNet has no level of one of the strides, or two outputs have the same stride.
    """
    levels, strides = list(argument(resnet, 'out_indices')), strides_of(resnet)
    wanted = [strides[level] for level in levels]
    if any(stride not in fish.strides for stride in wanted) or len(set(wanted)) < len(wanted):
        raise FishNetError(
            f'{dotted(place)} puts out features of strides {_listed(wanted)}; FishNet has one feature each of strides '
            f'{_listed(fish.strides)}: choose a config without such strides'
        )
    ours = [fish.strides.index(stride) for stride in wanted]
    if ours == levels:
        return ours, []
    return ours, [
        f'{dotted(place)} had level {_listed(levels)} at stride {_listed(wanted)}, where FishNet has level {_listed(ours)}'
    ]


def fishnet_for(
    resnet: Mapping, place: Path, target: Target, levels: List[int], checkpoint: Optional[str]
) -> Tuple[dict, List[str]]:
    """FishNet's config in the place of a ResNet's, and notes on the arguments that are lost."""
    new = dict(type='FishNet', depth=target.depth)
    if target.arch is not None:
        new['arch'] = target.arch
    notes = []
    in_channels = resnet.get('in_channels', 3)
    if in_channels != 3:
        new['in_channels'] = in_channels
        notes.append(f'{dotted(place)} takes {in_channels} channels: the mean and std of the images stay as they are')
    if levels != list(range(target.fish.num_stages + 1)):
        new['out_indices'] = tuple(levels)
    norm, about_norm = _norm_for(resnet, place, checkpoint)
    new.update(norm)
    notes += about_norm
    if checkpoint is not None:
        # mmdet counts the stem as 0, as FishNet does. A ResNet's first stage is frozen by default, FishNet's is not.
        frozen = resnet.get('frozen_stages', -1)
        frozen = max(frozen - 1, min(frozen, 0))
        if frozen:
            new['frozen_stages'] = frozen
        new['init_cfg'] = dict(type='FishNetPretrained', checkpoint=checkpoint)
    if resnet.get('with_cp'):
        new['with_cp'] = True
    for key, value in resnet.items():
        if key not in UNDERSTOOD and value is not None:
            notes.append(f'{dotted(place)}.{key} is left out: {_short(value)}')
    return new, notes


def _norm_for(resnet: Mapping, place: Path, checkpoint: Optional[str]) -> Tuple[dict, List[str]]:
    """``norm_cfg`` and ``norm_eval``, where FishNet's default, frozen BN, is not right; and notes."""
    norm_cfg = dict(resnet.get('norm_cfg') or dict(type='BN', requires_grad=True))
    is_batch_norm = norm_cfg['type'] in BATCH_NORMS
    if checkpoint is None:
        if norm_cfg.get('num_groups', 0) <= MOST_GROUPS:
            return dict(norm_cfg=norm_cfg), []
        note = (
            f'{dotted(place)}.norm_cfg has {MOST_GROUPS} groups instead of {norm_cfg["num_groups"]}, which do not divide all '
            "of FishNet's channels"
        )
        return dict(norm_cfg=dict(norm_cfg, num_groups=MOST_GROUPS)), [note]
    if not is_batch_norm:
        return {}, [f'{dotted(place)}.norm_cfg={norm_cfg} is left out: the released FishNets have BN']
    if argument(resnet, 'norm_eval'):
        return {}, []
    return dict(norm_cfg=norm_cfg, norm_eval=False), []


def _listed(numbers) -> str:
    return ', '.join(map(str, numbers))


def _short(value) -> str:
    text = str(value)
    return text if len(text) <= 200 else f'{text[:197]}...'
