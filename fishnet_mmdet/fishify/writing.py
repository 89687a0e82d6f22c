"""The config file that inherits a config with a ResNet and replaces it by FishNet."""

import copy
import difflib
import os
import re
import textwrap
from pathlib import Path
from typing import Any, List, Optional, Sequence

import mmdet
from mmengine.config import Config

from ..engine.configs import read_config
from ..errors import FishNetError
from .conversion import fishify

#: Where mmdet keeps its configs: inside the package if it is installed, beside it in a checkout.
MMDET_CONFIGS = (Path(mmdet.__file__).parent / '.mim/configs', Path(mmdet.__file__).parents[1] / 'configs')
#: Length of a line in the comment.
WIDTH = 100


def write_config(
    config: str, out: Path, depth: int = 150, checkpoint: Optional[str] = None, from_scratch: bool = False
) -> List[str]:
    """Writes a config file that inherits another one and has FishNet in it.

    Args:
        config (str): Config file, or ``mmdet::FAMILY/NAME.py`` for a config of mmdet.
        out (Path): The file to write.
        depth (int): Depth of FishNet.
        checkpoint (str, optional): Pretrained weights, as :func:`fishify` takes them.
        from_scratch (bool): Whether to train without pretrained weights.

    Returns:
        list[str]: What the user should know about the new config.

    Raises:
        FishNetError: If there is no such config, it cannot be converted, or the file cannot be written.
    """
    if out.exists():
        raise FishNetError(f'{out} exists already: choose another name, or remove it first')
    if out.suffix != '.py':
        raise FishNetError(f'{out} is not the name of a config: it must end with .py')
    file = find_config(config)
    cfg = read_config(str(file))
    if Config._is_lazy_import(str(file)):
        raise FishNetError(
            f'{config} is a new-style config (Python imports, read_base). This command writes old-style configs, which cannot '
            'inherit from it: call fishnet_mmdet.fishify.fishify(cfg) in Python instead'
        )
    try:
        changes = fishify(cfg, depth, checkpoint, from_scratch=from_scratch)
    except FishNetError as error:
        raise FishNetError(f'{config}: {error}') from error
    # Merging removes _delete_ from what it merges.
    cfg.merge_from_dict(copy.deepcopy(changes.overrides))
    about = [f'{config} with FishNet-{depth}, written by fishify.', *(f'- {note}' for note in changes.notes)]
    save_inheriting(config, out, changes.overrides, cfg.to_dict(), about)
    return changes.notes


def find_config(config: str) -> Path:
    """The file of a config.

    Raises:
        FishNetError: If mmdet has none of that name.
    """
    package, colons, name = config.rpartition('::')
    if not colons:
        return Path(config)
    if package != 'mmdet':
        raise FishNetError(f'{config}: {package} is not supported; use mmdet::FAMILY/NAME.py or a file')
    folder = mmdet_configs()
    if not (folder / name).is_file():
        names = [str(path.relative_to(folder)) for path in folder.rglob('*.py')]
        similar = difflib.get_close_matches(name if name.endswith('.py') else f'{name}.py', names)
        hint = f'; did you mean {" or ".join(f"mmdet::{one}" for one in similar)}?' if similar else ''
        raise FishNetError(f'mmdet has no config {name}{hint}')
    return folder / name


def mmdet_configs() -> Path:
    """The folder with mmdet's own configs.

    Raises:
        FishNetError: If this mmdet has none.
    """
    for folder in MMDET_CONFIGS:
        if folder.is_dir():
            return folder
    raise FishNetError(f'mmdet has no configs in {MMDET_CONFIGS[0]}: run pip install mmdet==3.3.0, or use a config file')


def save_inheriting(config: str, out: Path, changes: dict, intended: dict, about: Sequence[str]) -> None:
    """Writes a config file that inherits another one, and reads it again to check it.

    Args:
        config (str): The inherited config, as :func:`write_config` takes it.
        out (Path): The file to write.
        changes (dict): The settings of the new config.
        intended (dict): The whole config that is meant.
        about (Sequence[str]): Sentences for the comment at its top.

    Raises:
        FishNetError: If the file cannot be written, or mmengine reads another config from it than the intended one.
    """
    text = config_text(config, _base(config, find_config(config), out), changes, about)
    # Another process of the same run sees the complete file or none. mmengine takes only names that end with .py.
    scratch = out.with_name(f'{out.stem}_{os.getpid()}.py')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(text)
    except OSError as error:
        raise FishNetError(f'{out} cannot be written: {error}') from error
    # Merging and printing are mmengine's: the written config is read again and compared with the intended one.
    try:
        if _without_scope(read_config(str(scratch)).to_dict()) != _without_scope(intended):
            raise FishNetError(f'{config} cannot be inherited: the new config, read again, differs from the intended one')
        scratch.replace(out)
    finally:
        scratch.unlink(missing_ok=True)


def config_text(config: str, base: str, changes: dict, about: Sequence[str]) -> str:
    """The new config: a comment, the inherited config, and the changes."""
    lines = [line for one in about for line in textwrap.wrap(one, WIDTH - 2, subsequent_indent='  ' * one.startswith('- '))]
    try:
        settings = Config(changes).pretty_text
    except SyntaxError as error:
        raise FishNetError(f'{config} cannot be written by mmengine, so it could not be trained either: {error}') from error
    return '\n'.join([*(f'# {line}' for line in lines), f'_base_ = {base!r}', '', settings])


def _base(config: str, file: Path, out: Path) -> str:
    """What ``_base_`` of the new config must be."""
    if '::' not in config:
        return os.path.relpath(file.resolve(), out.parent.resolve()).replace(os.sep, '/')
    # mmengine takes a name only if it begins with a folder of letters, which gn+ws is not.
    return config if re.match(r'\w+::\w+/', config) else config.replace('::', '::_base_/../')


def _without_scope(value: Any) -> Any:
    """A config without ``_scope_``, which mmengine adds to configs that are inherited with ``mmdet::``."""
    if isinstance(value, dict):
        return {key: _without_scope(item) for key, item in value.items() if key != '_scope_'}
    return [_without_scope(item) for item in value] if isinstance(value, (list, tuple)) else value
