"""Puts FishNet into a config: python tools/fishify.py mmdet::retinanet/retinanet_r50_fpn_1x_coco.py -o configs/mine.py"""

import argparse
import difflib
import keyword
import os
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

try:
    from fishnet_mmdet.engine import launch
except ValueError as error:  # a FishNetError: the stack does not fit, and its message says what to do
    raise SystemExit(f'error: {error}') from None
import mmdet
from mmengine.config import Config

from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.fishify import fishify

#: Where mmdet keeps its configs: beside itself in a checkout, inside of itself where it is installed.
ZOOS = (Path(mmdet.__file__).parent / '.mim/configs', Path(mmdet.__file__).parents[1] / 'configs')
WIDTH = 127


def parse_args():
    """The arguments."""
    parser = argparse.ArgumentParser(description='Write a config that inherits one with a ResNet, and has a FishNet instead')
    parser.add_argument('config', help='config file, or mmdet::FAMILY/NAME.py for one that comes with mmdet')
    parser.add_argument('--depth', type=int, default=150, help='99, 150 (default) or 201')
    parser.add_argument('--checkpoint', help='pretrained weights; default: checkpoints/fishnet150_ckpt.tar, by depth')
    parser.add_argument('-o', '--out', required=True, metavar='FILE', help='the config file to be written')
    return parser.parse_args()


def main():
    """Converts, and says what was left out."""
    args = parse_args()
    out = Path(args.out)
    notes = write(args.config, out, args.depth, args.checkpoint)
    for note in notes:
        print(f'- {note}')
    print(f'{out} is {args.config} with FishNet-{args.depth}; python tools/train.py {out} trains it')


def write(config, out, depth=150, checkpoint=None):
    """Writes a config that inherits another and has FishNet in it.

    Args:
        config (str): Config file, or its name with ``mmdet::``.
        out (Path): The file to be written.
        depth (int): Depth of FishNet.
        checkpoint (str, optional): Pretrained weights.

    Returns:
        list[str]: What one should know about it.

    Raises:
        FishNetError: If there is no such config, it cannot be converted, or the file cannot be written.
    """
    if out.exists():
        raise FishNetError(f'{out} exists already: choose another name, or remove it first')
    if out.suffix != '.py':
        raise FishNetError(f'{out} is to be a config, whose name ends with .py')
    file = find(config)
    cfg = read(file)
    if Config._is_lazy_import(str(file)):
        raise FishNetError(
            f'{config} imports what it names (read_base), and a config can only inherit one of its own kind: convert it in '
            'code, with fishnet_mmdet.fishify.fishify'
        )
    try:
        changes = fishify(cfg, depth, checkpoint)
    except FishNetError as error:
        raise FishNetError(f'{config}: {error}') from error
    if '::' not in config:
        base = os.path.relpath(file.resolve(), out.parent.resolve()).replace(os.sep, '/')
    else:
        # mmengine takes a name only if it begins with a folder of letters, which gn+ws is not.
        base = config if re.match(r'\w+::\w+/', config) else config.replace('::', '::_base_/../')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text(config, base, depth, changes))
    except OSError as error:
        raise FishNetError(f'{out} cannot be written: {error}') from error
    # What is written and what was meant must not differ by how configs are merged, or how they are printed.
    cfg.merge_from_dict(changes.overrides)
    try:
        if without_scope(read(out).to_dict()) != without_scope(cfg.to_dict()):
            raise FishNetError(f'{config} cannot be inherited: read again, the new config is not what was meant')
    except FishNetError:
        out.unlink()
        raise
    return changes.notes


def find(config):
    """The file of a config.

    Raises:
        FishNetError: If mmdet has none of that name.
    """
    package, colons, name = config.rpartition('::')
    if not colons:
        return Path(config)
    if package != 'mmdet':
        raise FishNetError(f'{config}: only mmdet has detectors, mmdet::FAMILY/NAME.py')
    zoo = mmdet_configs()
    if not (zoo / name).is_file():
        names = [str(path.relative_to(zoo)) for path in zoo.rglob('*.py')]
        similar = difflib.get_close_matches(name if name.endswith('.py') else f'{name}.py', names)
        hint = f'; did you mean {" or ".join(f"mmdet::{one}" for one in similar)}?' if similar else ''
        raise FishNetError(f'mmdet has no config {name}{hint}')
    return zoo / name


def mmdet_configs():
    """The folder with mmdet's own configs.

    Raises:
        FishNetError: If mmdet came without.
    """
    for folder in ZOOS:
        if folder.is_dir():
            return folder
    raise FishNetError(f'mmdet has no configs at {ZOOS[0]}: install it with pip install mmdet==3.3.0, or give a file')


def read(file):
    """A config, its data left where it says, whatever MMDET_DATASETS is."""
    return launch.read_config(str(file), dict(data_root=None))


def without_scope(value):
    """A config without what tells, where it is inherited with ``mmdet::``, that mmdet's registries know its types."""
    if isinstance(value, dict):
        return {key: without_scope(item) for key, item in value.items() if key != '_scope_'}
    return [without_scope(item) for item in value] if isinstance(value, (list, tuple)) else value


def text(config, base, depth, changes):
    """The config file: where it comes from, what was left out, and what it changes."""
    about = [f'{config} with FishNet-{depth}, by tools/fishify.py.', *(f'- {note}' for note in changes.notes)]
    lines = [line for one in about for line in textwrap.wrap(one, WIDTH - 2, subsequent_indent='  ' * one.startswith('- '))]
    settings = [f'{key} = {printed(value)}' for key, value in changes.overrides.items()]
    return '\n'.join([*(f'# {line}' for line in lines), f'_base_ = {base!r}', '', *settings, ''])


def printed(value, indent=0):
    """Python for a value, in one line where that is short enough."""
    line = in_one_line(value)
    if not isinstance(value, (Mapping, list, tuple)) or not value or len(line) + indent <= WIDTH - 10:
        return line
    inner = ' ' * (indent + 4)
    if isinstance(value, Mapping) and all(map(is_name, value)):
        opening, closing = 'dict(', ')'
        items = [f'{key}={printed(item, indent + 4)}' for key, item in value.items()]
    elif isinstance(value, Mapping):
        opening, closing = '{', '}'
        items = [f'{key!r}: {printed(item, indent + 4)}' for key, item in value.items()]
    else:
        opening, closing = '()' if isinstance(value, tuple) else '[]'
        items = [printed(item, indent + 4) for item in value]
    return '\n'.join([opening, *(f'{inner}{item},' for item in items), ' ' * indent + closing])


def in_one_line(value):
    """Python for a value, with ``dict()`` as mmdet's configs have it."""
    if isinstance(value, Mapping):
        if all(map(is_name, value)):
            return f'dict({", ".join(f"{key}={in_one_line(item)}" for key, item in value.items())})'
        return f'{{{", ".join(f"{key!r}: {in_one_line(item)}" for key, item in value.items())}}}'
    if isinstance(value, (list, tuple)):
        items = ', '.join(map(in_one_line, value))
        return f'[{items}]' if isinstance(value, list) else f'({items}{"," * (len(value) == 1)})'
    return repr(value)


def is_name(key):
    """Whether a key can be written as that of ``dict()``."""
    return isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key)


if __name__ == '__main__':
    launch.run(main)
