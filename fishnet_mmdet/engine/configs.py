"""Configs: read from a file, and changed as the arguments of a command ask for."""

import os
from pathlib import Path
from typing import Optional

import torch
from mmengine.config import Config

from ..errors import FishNetError
from . import repetition  # noqa: F401  its import changes mmengine, before a config is read
from .config_types import nearest
from .options import apply_options

#: Where mmdet's configs expect COCO.
COCO_ROOT = 'data/coco/'


def read_config(file: str, options: Optional[dict] = None) -> Config:
    """A config file with the settings of ``--cfg-options``.

    ``data_root`` among the settings moves all data paths. Without it, the environment variable MMDET_DATASETS moves those of
    configs that expect COCO in ``data/coco/``, as in mmdet.

    Raises:
        FishNetError: If the config cannot be read or is empty, or a setting of the options is not of this config.
    """
    if not Path(file).is_file():
        similar = nearest(Path(file).name, [path.name for path in Path(file).parent.glob('*.py')])
        hint = f'; did you mean {Path(file).parent / similar[0]}?' if similar else ''
        raise FishNetError(f'there is no config file {file}{hint}')
    try:
        cfg = Config.fromfile(file)
    except FishNetError:
        raise
    except (Exception, SystemExit) as error:  # a config is Python, so it can raise anything, and call sys.exit
        raise FishNetError(f'the config {file} cannot be read: {type(error).__name__}: {error}') from error
    if not len(cfg):
        raise FishNetError(f'the config {file} is empty: give one with a model')
    options = dict(options or {})
    data_root = options.pop('data_root', None)
    if data_root is None and cfg.get('data_root') == COCO_ROOT:
        data_root = os.environ.get('MMDET_DATASETS')
    apply_options(cfg, options)
    if data_root is not None:
        move_data(cfg, data_root)
    return cfg


def move_data(cfg: Config, data_root: str) -> None:
    """Replaces the config's ``data_root`` by another one, in every path that begins with it.

    Raises:
        FishNetError: If the config has no ``data_root``.
    """
    old = cfg.get('data_root')
    if not old:
        raise FishNetError('this config has no data_root to move: set the paths of its dataloaders and evaluators one by one')
    # In mmdet's configs a root that is a folder ends with a slash. A root that may be an archive does not.
    new = os.path.expanduser(data_root).rstrip('/') + ('/' if old.endswith('/') else '')

    def moved(value):
        if isinstance(value, dict):
            return type(value)({key: moved(item) for key, item in value.items()})
        if isinstance(value, (list, tuple)):
            return type(value)(moved(item) for item in value)
        if isinstance(value, str) and value.startswith(old):
            return new + value[len(old) :]
        return value

    for key in list(cfg):
        cfg[key] = moved(cfg[key])


def use_mixed_precision(cfg: Config) -> None:
    """Trains in float16 on a GPU, in bfloat16 on the CPU."""
    if torch.cuda.is_available():
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    else:
        cfg.optim_wrapper.type = 'fishnet_mmdet.BFloat16OptimWrapper'


def scale_learning_rate(cfg: Config) -> None:
    """Lets mmengine scale the learning rate from ``auto_scale_lr.base_batch_size`` to the batch size of the run.

    Raises:
        FishNetError: If the config does not say for which batch size its learning rate is.
    """
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise FishNetError('--auto-scale-lr needs auto_scale_lr.base_batch_size, which this config does not set')
    cfg.auto_scale_lr.enable = True


def learning_rate_note(cfg: Config, num_processes: int) -> Optional[str]:
    """What to tell the user when the learning rate is for another batch size than that of the run.

    Args:
        cfg (Config): The config.
        num_processes (int): Processes, each with a batch of its own.
    """
    scaling = cfg.get('auto_scale_lr') or {}
    base = scaling.get('base_batch_size')
    batch = num_processes * cfg.train_dataloader.get('batch_size', 1)
    if not base or base == batch or scaling.get('enable'):
        return None
    rate = cfg.optim_wrapper.optimizer.lr
    return f'The learning rate {rate} is for {base} images a step, and this run has {batch}: add --auto-scale-lr to scale it.'
