"""train: trains a detector or a classifier."""

import argparse
from typing import List, Optional

from mmengine.config import Config
from mmengine.logging import print_log

from ..checkpoints import trust_pickled_files
from ..engine.building import build_runner
from ..engine.checks import check_checkpoint, check_data, check_initialisation
from ..engine.configs import learning_rate_note, scale_learning_rate, use_mixed_precision
from ..engine.from_scratch import train_from_scratch
from ..engine.hooks import CheckFrozenNormHook
from ..engine.schedule import set_epochs
from .arguments import add_common_arguments, add_trusted, load_config


def main(argv: Optional[List[str]] = None) -> None:
    """Reads the config, checks it, and trains."""
    args = parse_args(argv)
    if args.trusted:
        trust_pickled_files()
    cfg = load_config(args)
    change(cfg, args)
    check_data(cfg, ['train_dataloader', 'val_dataloader'])
    check_initialisation(cfg)
    if cfg.get('load_from'):
        check_checkpoint(cfg.load_from, args.trusted)
    runner = build_runner(cfg)
    runner.trusted = args.trusted
    if note := learning_rate_note(cfg, runner.world_size):
        print_log(note, logger='current')
    if not any(isinstance(hook, CheckFrozenNormHook) for hook in runner.hooks):
        runner.register_hook(CheckFrozenNormHook())
    runner.train()


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """The arguments, as mmdet's; ``--epochs`` and ``--from-scratch`` are ours."""
    parser = argparse.ArgumentParser(description='Train a detector or a classifier')
    parser.add_argument('config', help='config file')
    add_common_arguments(parser)
    parser.add_argument('--epochs', type=int, metavar='N', help='train for N epochs; the schedule is scaled to them')
    parser.add_argument(
        '--from-scratch',
        action='store_true',
        help='train the detector without pretrained weights: trainable BN in FishNet, a normalised neck and mask head',
    )
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision: float16 on a GPU, bfloat16 on the CPU')
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
    add_trusted(parser)
    return parser.parse_args(argv)


def change(cfg: Config, args: argparse.Namespace) -> None:
    """Sets in the config what the arguments ask for.

    Raises:
        FishNetError: If the config does not allow it.
    """
    if args.epochs is not None:
        set_epochs(cfg, args.epochs)
    if args.from_scratch:
        for note in train_from_scratch(cfg):
            print_log(note, logger='current')
    if args.amp:
        use_mixed_precision(cfg)
    if args.auto_scale_lr:
        scale_learning_rate(cfg)
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
