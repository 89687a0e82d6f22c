"""train: trains a detector or a classifier."""

import argparse
import logging
from pathlib import Path
from typing import List, Optional

from mmengine.config import Config
from mmengine.logging import print_log

from ..checkpoints.locate import is_first_of_machine
from ..engine.building import build_runner
from ..engine.checks import check_checkpoint, check_data, check_initialisation
from ..engine.class_names import check_num_classes, check_same_classes
from ..engine.compiling import compile_parts
from ..engine.configs import learning_rate_note, scale_learning_rate, use_mixed_precision
from ..engine.from_scratch import train_from_scratch
from ..engine.hooks import CheckFrozenNormHook, FaultyImagesHook, RecordCategoryIdsHook
from ..engine.schedule import set_epochs
from ..errors import FishNetError
from ..fishify.writing import find_config
from ..own_data import check_inheritable, data_name, save_config, use_own_data
from .arguments import Parser, add_common_arguments, add_compile, add_strict_data, load_config, whole

#: Settings without which nothing is trained.
NEEDED = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')


def main(argv: Optional[List[str]] = None) -> None:
    """Reads the config, checks it, and trains."""
    args = parse_args(argv)
    name, args.config = args.config, str(find_config(args.config))
    cfg = load_config(args, NEEDED)
    change(cfg, args, name)
    dataloaders = ['train_dataloader', 'val_dataloader']
    notes = check_data(cfg, dataloaders, args.strict_data)
    classes = check_same_classes(cfg, dataloaders)
    check_initialisation(cfg)
    if cfg.get('load_from'):
        cfg.load_from = check_checkpoint(cfg.load_from)
    runner = build_runner(cfg)
    runner.classes = classes
    check_num_classes(runner.model, classes)
    runner.register_hook(FaultyImagesHook())
    for note in notes:
        print_log(note, logger='current', level=logging.WARNING)
    if note := learning_rate_note(cfg, runner.world_size):
        print_log(note, logger='current')
    if not any(isinstance(hook, CheckFrozenNormHook) for hook in runner.hooks):
        runner.register_hook(CheckFrozenNormHook())
    runner.register_hook(RecordCategoryIdsHook())
    if args.compile:
        compile_parts(runner.model)
    runner.train()


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """The arguments, as mmdet's; ``--data``, ``--epochs`` and ``--from-scratch`` are ours."""
    parser = Parser(description='Train a detector or a classifier')
    parser.add_argument('config', help='config file, or mmdet::FAMILY/NAME.py for a config of mmdet')
    parser.add_argument(
        '--data',
        metavar='DIR',
        help='train on your own images: a folder with COCO annotations or, for a classifier, with class folders; the config '
        'for it is written to the work dir (docs/own-data.md)',
    )
    add_common_arguments(parser)
    parser.add_argument('--epochs', type=whole(1), metavar='N', help='train for N epochs; the schedule is scaled to them')
    parser.add_argument(
        '--from-scratch',
        action='store_true',
        help='train the detector without pretrained weights: trainable BN in FishNet, a normalised neck and mask head',
    )
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision: float16 on a GPU, bfloat16 on the CPU')
    add_compile(parser)
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate from auto_scale_lr.base_batch_size to this run's batch size",
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue from this checkpoint; without a file, from the newest whole one in the work dir',
    )
    add_strict_data(parser)
    return parser.parse_args(argv)


def change(cfg: Config, args: argparse.Namespace, name: str) -> None:
    """Sets in the config what the arguments ask for.

    Args:
        cfg (Config): The config; it is changed in place.
        args (argparse.Namespace): The arguments.
        name (str): The config's name as the user gave it.

    Raises:
        FishNetError: If the config does not allow it.
    """
    if args.data:
        change_data(cfg, args)
    if args.epochs is not None:
        set_epochs(cfg, args.epochs)
    if args.from_scratch:
        for note in train_from_scratch(cfg):
            print_log(note, logger='current')
    if args.amp:
        use_mixed_precision(cfg)
    if args.auto_scale_lr:
        scale_learning_rate(cfg)
    if args.data and is_first_of_machine():
        file = save_config(cfg, name, args.data, own_data_dir(cfg))
        print_log(f'{file} is the config of this run: test.py, infer.py and train.py take it without --data', logger='current')
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume


def change_data(cfg: Config, args: argparse.Namespace) -> None:
    """Trains on the data that ``--data`` names; settings of ``--cfg-options`` are kept.

    Raises:
        FishNetError: If the config or the data do not allow it.
    """
    check_inheritable(args.config)
    if 'data_root' in (args.cfg_options or {}):
        raise FishNetError('--data and --cfg-options data_root name two places of the data: remove one of them')
    if not args.work_dir:
        cfg.work_dir = f'{cfg.work_dir}_{data_name(args.data)}'
    found = use_own_data(cfg, args.data, own_data_dir(cfg))
    cfg.merge_from_dict(args.cfg_options or {})
    if is_first_of_machine():
        print_log(found, logger='current')


def own_data_dir(cfg: Config) -> Path:
    """The folder for the config of own data, and for files that are made of the data."""
    # Not the work dir itself: a Runner saves the full config there, under the name of the config that it runs.
    return Path(cfg.work_dir) / 'own_data'
