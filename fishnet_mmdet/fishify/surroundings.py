"""The settings around a backbone that belong to the old one: checkpoints of whole models, image normalisation, other rules."""

from typing import Iterator, Mapping, Optional

from ..engine.config_tree import Path, at, dotted, walk
from ..engine.from_scratch import is_loaded

#: The released models were trained with images normalised so (RGB, 0 ... 255).
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
PARTS = ('stem', 'tail', 'bridge', 'body', 'head')


def import_fishnet(custom_imports: Optional[Mapping]) -> dict:
    """The ``custom_imports`` of a config, with this package."""
    custom_imports = dict(custom_imports or {})
    imports = custom_imports.get('imports') or []
    imports = [imports] if isinstance(imports, str) else list(imports)
    return {'allow_failed_imports': False, **custom_imports, 'imports': list(dict.fromkeys([*imports, 'fishnet_mmdet']))}


def remove_old_weights(cfg: dict, path: Path) -> Iterator[str]:
    """Removes the checkpoint of a model at ``path``, which holds the old backbone; yields notes."""
    owner = at(cfg, path)
    if isinstance(owner, dict) and is_loaded(owner.get('init_cfg')):
        yield (
            f'{dotted(path)}.init_cfg is left out: {owner["init_cfg"]["checkpoint"]} holds the weights of the model with its '
            'old backbone'
        )
        owner['init_cfg'] = None


def normalise_images(cfg: dict, path: Path) -> Iterator[str]:
    """Sets mean, std and order of colours of the model at ``path`` to those of the released FishNets; yields notes."""
    owner = at(cfg, path)
    if not isinstance(owner, Mapping):
        return
    if path == ('model',) and 'data_preprocessor' not in owner:
        owner, path = cfg, ()
    for place, value in walk(owner.get('data_preprocessor'), (*path, 'data_preprocessor')):
        if not isinstance(value, dict) or value.get('mean') is None:
            continue
        colours = 'to_rgb' if 'to_rgb' in value else 'bgr_to_rgb'
        mean, std, rgb = list(value['mean']), list(value['std']), value.get(colours, False)
        if (mean, std, rgb) != (MEAN, STD, True):
            value.update({'mean': list(MEAN), 'std': list(STD), colours: True})
            yield (
                f'{dotted(place)} normalises images as the released FishNets need it, and no longer with mean={mean}, '
                f'std={std}, {colours}={rgb}'
            )


def remove_load_from(cfg: dict) -> Iterator[str]:
    """Removes ``load_from``; yields a note."""
    if cfg.get('load_from'):
        yield f'load_from={cfg["load_from"]!r} is left out: it holds the weights of the model with its old backbone'
        cfg['load_from'] = None


def remarks(cfg: Mapping) -> Iterator[str]:
    """Settings of the new config that stay, and that the user may have to change."""
    keys = ((cfg.get('optim_wrapper') or {}).get('paramwise_cfg') or {}).get('custom_keys') or {}
    for key in keys:
        part = key.partition('backbone.')[2].partition('.')[0]
        if part and part not in PARTS:
            yield f'optim_wrapper has a rule for {key!r}, which FishNet does not have: its parts are {", ".join(PARTS)}'
    for path, value in walk(cfg['model'], ('model',)):
        key = path[-1]
        if not isinstance(value, str):
            continue
        if key == 'teacher_config':
            yield f'{dotted(path)} stays: mmdet looks for this file in the folder that it is started in: {value}'
        elif key in ('checkpoint', 'teacher_ckpt', 'pretrained') and '://' in value and not _is_fishnets(cfg, path):
            yield f'{dotted(path)} stays: mmdet downloads at the start: {value}'


def _is_fishnets(cfg: Mapping, path: Path) -> bool:
    owner = at(cfg, path[:-1])
    return isinstance(owner, Mapping) and owner.get('type') == 'FishNetPretrained'
