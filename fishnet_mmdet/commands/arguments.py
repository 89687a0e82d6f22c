"""The arguments that commands share, and the config that they describe."""

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

import torch
from mmengine.config import Config, DictAction

from ..engine.configs import read_config
from ..engine.distributed import use_gloo


def add_config_options(parser: ArgumentParser) -> None:
    """Adds ``--cfg-options``, as mmdet has it."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config: a.b=1 a.c="[1,2]" a.d=None; data_root=DIR moves all data paths',
    )


def add_common_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments that training and testing share, as mmdet has them."""
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and metrics; default: work_dirs/NAME_OF_CONFIG')
    add_config_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher that started the processes',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by some launchers')


def add_checkpoint_options(parser: ArgumentParser) -> None:
    """Adds ``--prefix`` and ``--trusted``."""
    parser.add_argument(
        '--prefix',
        help='key prefix of the backbone, e.g. "teacher.backbone."; needed only if the checkpoint contains several FishNets',
    )
    add_trusted(parser)


def add_trusted(parser: ArgumentParser) -> None:
    """Adds ``--trusted``."""
    parser.add_argument(
        '--trusted',
        action='store_true',
        help='the checkpoint is a file that you made yourself: read it on PyTorch before 2.6 too, where reading a pickled '
        'file can run code from it',
    )


def add_strict_data(parser: ArgumentParser) -> None:
    """Adds ``--strict-data``."""
    parser.add_argument(
        '--strict-data',
        action='store_true',
        help='stop if annotations are faulty; by default, training skips faulty entries, and the log counts them',
    )


def load_config(args: Namespace) -> Config:
    """The config that the common arguments describe. Without GPUs, the processes of a launcher are connected by gloo.

    Raises:
        FishNetError: If the config cannot be read.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(args.config).stem)
    if args.launcher != 'none' and not torch.cuda.is_available():
        use_gloo(cfg)
    return cfg
