"""python -m fishnet_mmdet compare_small_images: trains the networks of the report's Table 4 and prints the table."""

from pathlib import Path
from typing import List, Optional, Sequence

from ..analysis.small_images import NETWORKS, train_and_measure
from ..config_files import config_file
from ..engine.config_checks import check_config
from ..engine.configs import read_config, use_mixed_precision
from ..engine.schedule import set_epochs
from .arguments import Parser, add_config_options, new_folder, whole
from .outputs import save_json

HEADER = '| network | accuracy, % | time per epoch, s | parameters |\n|---|---|---|---|'
ROW = '| {network} | {accuracy:.2f} | {seconds_per_epoch:.1f} | {parameters:,} |'


def make_parser() -> Parser:
    """The arguments of the command."""
    parser = Parser(
        prog='python -m fishnet_mmdet compare_small_images',
        description="Train the networks of the report's Table 4 one after another, and print the table.",
    )
    parser.add_argument('data', choices=['cifar10', 'cifar100', 'fashion_mnist'], help='data set of small images')
    parser.add_argument(
        '--data-root', metavar='PATH', help='folder or archive with the data set (default: data/NAME, from the config)'
    )
    parser.add_argument('--networks', nargs='+', choices=list(NETWORKS), default=list(NETWORKS), help='default: all')
    parser.add_argument('--epochs', type=whole(1), metavar='N', help='number of training epochs (default: as in the configs)')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument(
        '--work-dir',
        type=new_folder,
        default=Path('work_dirs/compare_small_images'),
        help='parent of the work dirs; default: %(default)s',
    )
    add_config_options(parser)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Runs the command.

    Raises:
        FishNetError: If an argument is wrong, or the data is missing.
    """
    args = make_parser().parse_args(argv)
    options = dict(args.cfg_options or {})
    if args.data_root:
        options['data_root'] = args.data_root
    rows: List[dict] = []
    for network in args.networks:
        cfg = read_config(config_file(f'classification/{network}_{args.data}.py'), options)
        check_config(cfg)
        if args.epochs is not None:
            set_epochs(cfg, args.epochs)
        if args.amp:
            use_mixed_precision(cfg)
        cfg.work_dir = str(args.work_dir / f'{network}_{args.data}')
        rows.append(dict(network=NETWORKS[network], **train_and_measure(cfg)))
        # The table grows with each network, so that an interrupted run leaves its first rows.
        save_json(rows, args.work_dir / f'{args.data}.json', '--work-dir')
        print('\n'.join(['', HEADER, *(ROW.format(**row) for row in rows), '']), flush=True)
