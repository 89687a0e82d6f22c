"""FishNet in every config of mmdet that has a ResNet: convert, build, take a training step."""

import hashlib
import json
import multiprocessing
import os
import re
import socket
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from mmengine.config import Config

from ..engine.configs import read_config
from ..errors import FishNetError
from .training_step import training_step
from .writing import mmdet_configs, write_config

WORKS = 'works'
#: mmdet's own config, with its ResNet, does not work here either.
MMDETS = "mmdet's own fails"
FAILS = 'fails'


def configs_with_resnet(patterns: List[str]) -> Tuple[Dict[str, Config], Dict[str, str]]:
    """Reads the configs of mmdet that have its ResNet or ResNeXt somewhere in the model.

    Args:
        patterns (list[str]): Patterns of file names below mmdet's configs: 'retinanet/*'.

    Returns:
        tuple: The configs, by name; and the reasons why other configs cannot be read, by name.
    """
    folder = mmdet_configs()
    configs, unreadable = {}, {}
    for file in sorted({file for pattern in patterns for file in folder.glob(pattern) if file.suffix == '.py'}):
        name = str(file.relative_to(folder))
        if name.startswith('_base_'):
            continue
        try:
            cfg = read_config(str(file))
        except FishNetError as error:
            unreadable[name] = _one_line(str(error).replace(f'{folder}/', '').partition(', the current sys.path')[0])
            continue
        if re.search(r"'type': '(ResNet|ResNeXt)'", str(cfg.get('model'))):
            configs[name] = cfg
    return configs, unreadable


def try_config(name: str, cfg: Config, rows: Mapping[str, dict], depth: int, size: int, time_limit: float) -> dict:
    """Converts a config and takes a training step, unless an earlier config has the same model.

    Args:
        name (str): Name of the config.
        cfg (Config): The config with its ResNet.
        rows (Mapping[str, dict]): The results so far, by name.
        depth (int): Depth of FishNet.
        size (int): Height and width of the images, in pixels. A step that fails is tried again with four times the size.
        time_limit (float): Seconds for a step.

    Returns:
        dict: The result. ``same_as`` names the earlier config with the same model, if there is one.
    """
    row = dict(detector=str(cfg.model.type), reason='', notes=[], seconds=0.0)
    with tempfile.TemporaryDirectory() as folder:
        try:
            row['notes'] = write_config(f'mmdet::{name}', Path(folder) / 'new.py', depth)
            new = read_config(str(Path(folder) / 'new.py'))
        except FishNetError as error:
            return dict(row, outcome=FAILS, reason=_one_line(error))
    key = hashlib.sha256(json.dumps(_comparable(new.model), sort_keys=True).encode()).hexdigest()
    for other, earlier in rows.items():
        if earlier.get('key') == key and 'same_as' not in earlier:
            return dict(earlier, notes=row['notes'], same_as=other)
    start = time.time()
    # Some heads have convolutions that are larger than the smallest feature of a small image.
    for used_size in (size, 4 * size):
        error = _step_in_child(new, used_size, time_limit)
        if error is None:
            break
    row.update(key=key, outcome=WORKS, seconds=round(time.time() - start, 1))
    if error is not None:
        theirs = _step_in_child(cfg, used_size, time_limit)
        reason = error if theirs in (None, error) else f'{error}; with its ResNet: {theirs}'
        row.update(outcome=MMDETS if theirs else FAILS, reason=reason)
    return row


def _step_in_child(cfg: Config, size: int, time_limit: float) -> Optional[str]:
    """Takes a step in a process of its own, which may need all its memory, crash, or be stopped.

    Returns:
        str | None: The error, in a line.
    """
    mine, theirs = multiprocessing.get_context('fork').Pipe(duplex=False)
    child = multiprocessing.get_context('fork').Process(target=_report_step, args=(theirs, cfg, size))
    child.start()
    theirs.close()
    try:
        return mine.recv() if mine.poll(time_limit) else f'not done after {time_limit} s'
    except EOFError:
        return f'the process died, with exit code {child.exitcode}'
    finally:
        child.kill()
        child.join()


def _report_step(pipe, cfg: Config, size: int) -> None:
    """Takes a step and sends its error, or None."""
    # mmdet logs the initialisation of every tensor.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    # A download would be waited for. With this error, the table names the configs that want one.
    socket.socket.connect = _no_network
    # mmdet's configs look for each other in this folder.
    os.chdir(mmdet_configs().parent)
    try:
        training_step(cfg, size)
    except Exception as error:  # A model can raise anything.
        pipe.send(_one_line(f'{type(error).__name__}: {error}'))
    else:
        pipe.send(None)


def _no_network(*_):
    raise FishNetError('wants to download a file')


def _comparable(value: Any) -> Any:
    """A model as JSON has it, without ``_scope_``, which does not change the model."""
    if isinstance(value, dict):
        return {str(key): _comparable(item) for key, item in value.items() if key != '_scope_'}
    return list(map(_comparable, value)) if isinstance(value, (list, tuple)) else value


def _one_line(message: Any) -> str:
    line = ' '.join(str(message).split())
    return line if len(line) <= 300 else f'{line[:297]}...'
