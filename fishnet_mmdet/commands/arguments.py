"""The arguments that commands share: how they are read and checked, and the config that they describe."""

import argparse
import math
import os
import re
from argparse import ArgumentTypeError, Namespace
from pathlib import Path
from typing import Callable, NoReturn, Sequence

import torch
from mmengine.config import Config, DictAction

from ..engine.config_checks import check_config
from ..engine.config_types import nearest
from ..engine.configs import read_config
from ..engine.distributed import check_launcher, use_gloo
from ..errors import FishNetError

#: Endings of pictures that matplotlib writes.
PICTURES = ('.png', '.pdf', '.svg', '.jpg', '.jpeg', '.webp', '.tif', '.tiff', '.eps', '.ps')
#: Bytes of the longest name that file systems allow.
LONGEST = 255
#: The settings that an argument sets, by the argument. A command that gets both does not know which one is meant.
SETTINGS = dict(
    work_dir=['work_dir'],
    epochs=['train_cfg.max_epochs'],
    amp=['optim_wrapper.type'],
    auto_scale_lr=['auto_scale_lr.enable'],
    resume=['resume', 'load_from'],
    checkpoint=['load_from', 'resume'],
    eval=['test_evaluator.metric'],
    data_root=['data_root'],
    workers=['train_dataloader.num_workers'],
    from_scratch=['load_from', 'model.backbone.init_cfg'],
)


class Parser(argparse.ArgumentParser):
    """Says what is wrong with an argument as all errors of a command are said, and names the option that was meant.

    Raises:
        FishNetError: If an argument is wrong, or contradicts one of ``--cfg-options``.
    """

    def error(self, message: str) -> NoReturn:
        """Raises the message as a :class:`FishNetError`."""
        # argparse begins with "argument --name: ".
        words = re.sub(r'^argument (\S+): (?=must )|^argument ', lambda match: f'{match[1]} ' if match[1] else '', message)
        if message.startswith('unrecognized arguments: '):
            given = message.partition(': ')[2].partition(' ')[0].partition('=')[0]
            similar = nearest(given, self._option_string_actions)
            words += f'; did you mean {similar[0]}?' if similar else '; see --help'
        raise FishNetError(words)

    def parse_args(self, *args, **kwargs) -> Namespace:
        """The arguments."""
        parsed = super().parse_args(*args, **kwargs)
        for argument, settings in SETTINGS.items():
            if getattr(parsed, argument, None) in (None, False):
                continue
            for option in getattr(parsed, 'cfg_options', None) or ():
                if any(option == setting or option.startswith(f'{setting}.') for setting in settings):
                    flag = next(action for action in self._actions if action.dest == argument)
                    name = flag.option_strings[0] if flag.option_strings else argument
                    raise FishNetError(f'both {name} and --cfg-options {option} are given, for the same setting: remove one')
        return parsed


class ConfigOptions(DictAction):
    """``KEY=VALUE ...`` as mmengine reads it."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Adds the settings to those of the arguments before."""
        for text in values:
            key, equals, _ = text.partition('=')
            if not key or not equals:
                parser.error(f'{option_string} {text}: give KEY=VALUE, such as train_cfg.max_epochs=12')
            if key in (getattr(namespace, self.dest) or {}):
                parser.error(f'{option_string} {key} is given twice: remove one')
            try:
                super().__call__(parser, namespace, [text], option_string)
            except (AssertionError, ValueError, RecursionError) as error:
                parser.error(f'{option_string} {text}: the value cannot be read ({error}); quote lists, as in a.b="[1,2]"')


def whole(least: int) -> Callable[[str], int]:
    """A type of arguments: whole numbers of at least ``least``."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or number < least:
            raise ArgumentTypeError(f'must be a whole number of at least {least}, not {text}')
        return number

    return read


def number(least: float, most: float = math.inf) -> Callable[[str], float]:
    """A type of arguments: finite numbers from ``least`` to ``most``."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most or math.isinf(value):
            words = f'from {least} to {most}' if most < math.inf else f'of at least {least}'
            raise ArgumentTypeError(f'must be a number {words}, not {text}')
        return value

    return read


def device(text: str) -> str:
    """A type of arguments: devices that PyTorch can use here."""
    try:
        torch.zeros(1, device=text).item()
    except (RuntimeError, AssertionError) as error:
        raise ArgumentTypeError(
            f'the device {text!r} cannot be used here ({str(error).splitlines()[0]}): choose another, such as cpu'
        ) from error
    return text


def new_folder(text: str) -> Path:
    """A type of arguments: folders that exist and can be written, or can be made."""
    if not text:
        raise ArgumentTypeError('must be a folder, and is empty')
    check_writable(Path(text) / 'file')
    return Path(text)


def new_file(*suffixes: str) -> Callable[[str], Path]:
    """A type of arguments: files that can be written, with one of some suffixes; without suffixes with any."""

    def read(text: str) -> Path:
        file = Path(text)
        if suffixes and file.suffix not in suffixes:
            raise ArgumentTypeError(f'must be a file that ends with {" or ".join(suffixes)}, not {text}')
        if file.is_dir():
            raise ArgumentTypeError(f'{text} is a folder: name a file')
        check_writable(file)
        return file

    return read


def check_writable(file: Path) -> None:
    """Checks that a file can be written, in folders that may have to be made first.

    Raises:
        argparse.ArgumentTypeError: If not.
    """
    if any(len(os.fsencode(part)) > LONGEST for part in file.parts):
        raise ArgumentTypeError(f'{str(file)[:40]} ... is too long: a name has at most {LONGEST} bytes')
    if not os.path.lexists(file):
        file = next(folder for folder in file.absolute().parents if os.path.lexists(folder))
        if not file.is_dir():
            raise ArgumentTypeError(f'{file} is not a folder: choose another place')
    if not os.access(file, os.W_OK):
        raise ArgumentTypeError(f'{file} is not writable: choose another place')


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--cfg-options``, as mmdet has it."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='override settings of the config: a.b=1 a.c="[1,2]" a.d=None; data_root=DIR moves all data paths',
    )


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that training and testing share, as mmdet has them."""
    parser.add_argument(
        '--work-dir', type=new_folder, help='folder for logs, checkpoints and metrics; default: work_dirs/NAME_OF_CONFIG'
    )
    add_config_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher that started the processes',
    )
    parser.add_argument('--local_rank', '--local-rank', type=whole(0), default=0, help='set by some launchers')


def add_checkpoint_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--prefix``."""
    parser.add_argument(
        '--prefix',
        help='key prefix of the backbone, e.g. "teacher.backbone."; needed only if the checkpoint contains several FishNets',
    )


def add_compile(parser: argparse.ArgumentParser) -> None:
    """Adds ``--compile``."""
    parser.add_argument(
        '--compile',
        action='store_true',
        help='torch.compile backbone and neck: takes minutes at each new size of images in training (docs/performance.md)',
    )


def add_strict_data(parser: argparse.ArgumentParser) -> None:
    """Adds ``--strict-data``."""
    parser.add_argument(
        '--strict-data',
        action='store_true',
        help='stop if annotations are faulty; by default, training skips faulty entries, and the log counts them',
    )


def load_config(args: Namespace, needed: Sequence[str]) -> Config:
    """The config that the common arguments describe. Without GPUs, the processes of a launcher are connected by gloo.

    Args:
        args (argparse.Namespace): The common arguments.
        needed (Sequence[str]): Settings without which the command cannot run.

    Raises:
        FishNetError: If the config cannot be read, lacks a setting or has a wrong one, if its work dir cannot be written, or
            if the launcher did not start this process.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    if args.launcher != 'none':
        check_launcher(args.launcher)
    cfg = read_config(args.config, args.cfg_options)
    check_config(cfg, needed)
    cfg.launcher = args.launcher
    cfg.work_dir = str(args.work_dir or cfg.get('work_dir') or Path('work_dirs') / Path(args.config).stem)
    try:
        new_folder(cfg.work_dir)
    except ArgumentTypeError as error:
        raise FishNetError(f'the work dir {cfg.work_dir} cannot be used: {error}, with --work-dir DIR') from error
    if args.launcher != 'none' and not torch.cuda.is_available():
        use_gloo(cfg)
    return cfg
