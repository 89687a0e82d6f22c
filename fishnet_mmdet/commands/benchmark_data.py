"""python -m fishnet_mmdet benchmark_data: measures how fast the training data of a config is read."""

import warnings
from typing import Optional, Sequence

import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing

from ..analysis.data_speed import measure_reading, measure_training, time_transforms
from ..engine.checks import check_data
from ..engine.config_checks import check_config
from ..engine.configs import read_config
from .arguments import Parser, add_config_options, whole

#: Images at most that are read in this process to time each transform.
IMAGES_FOR_TRANSFORMS = 200


def make_parser() -> Parser:
    """The arguments of the command."""
    parser = Parser(
        prog='python -m fishnet_mmdet benchmark_data',
        description='Measure how fast the training data of a config is read: each transform, then all workers.',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('--workers', type=whole(0), metavar='N', help='number of worker processes (default: as in the config)')
    parser.add_argument(
        '--images', type=whole(1), default=2000, metavar='N', help='number of images to read (default: %(default)s)'
    )
    parser.add_argument(
        '--with-training', action='store_true', help='also measure training steps, all on one batch, and compare the speeds'
    )
    add_config_options(parser)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Runs the command.

    Raises:
        FishNetError: If an argument or the config is wrong, or the data is missing.
    """
    args = make_parser().parse_args(argv)
    cfg = read_config(args.config, args.cfg_options)
    check_config(cfg, ['train_dataloader'])
    check_data(cfg, ['train_dataloader'])
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    env = cfg.get('env_cfg', {})
    set_multi_processing(**env.get('mp_cfg', {}))
    torch.backends.cudnn.benchmark = env.get('cudnn_benchmark', False)

    if args.workers is not None:
        cfg.train_dataloader.num_workers = args.workers
    workers = cfg.train_dataloader.num_workers
    cfg.train_dataloader.persistent_workers = workers > 0
    # Without a GPU, pinned memory is useless but harmless.
    warnings.filterwarnings('ignore', message='.*pin_memory')
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    print(f'{len(loader.dataset)} images, batches of {cfg.train_dataloader.batch_size}')
    print_transforms(time_transforms(loader.dataset, min(args.images, IMAGES_FOR_TRANSFORMS)))
    reading, batch = measure_reading(loader, args.images)
    each = f', {reading / workers:.0f} a worker' if workers else ''
    print(f'with {workers} workers: {reading:.0f} images/s{each}')
    if args.with_training:
        # Stops the workers, which would otherwise read on during the training.
        del loader
        print_comparison(reading, measure_training(cfg, batch, args.images), workers)


def print_transforms(seconds: dict) -> None:
    """Prints the time of each transform in milliseconds an image."""
    total = sum(seconds.values())
    print(f'in one process: {1 / total:.0f} images/s, {1e3 * total:.2f} ms an image')
    for name, spent in seconds.items():
        print(f'    {name:<28}{1e3 * spent:8.3f} ms {spent / total:6.1%}')


def print_comparison(reading: float, training: float, workers: int) -> None:
    """Prints the speed of training, and whether reading keeps up with it."""
    cuda = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if cuda else f'the CPU, {torch.get_num_threads()} threads'
    print(f'training on {device}: {training:.0f} images/s')
    if reading >= training:
        print(f'Reading keeps up: it is {reading / training:.1f} times as fast as training.')
    else:
        needed = f' About {workers * training / reading:.0f} workers would keep up.' if workers else ''
        print(f'Training waits for the data: reading has {reading / training:.0%} of its speed.{needed}')
