"""compare: trains detectors one after another with several seeds, and prints a table of their AP."""

import argparse
from pathlib import Path
from typing import List, Optional

import torch

from ..analysis.comparison import is_finished, summary_of, table, train_with_seed
from ..analysis.runs import read_run
from ..engine.configs import read_config, use_mixed_precision
from ..engine.schedule import set_epochs
from .arguments import Parser, add_config_options, new_file, new_folder, whole
from .outputs import save_json


def main(argv: Optional[List[str]] = None) -> None:
    """Trains what is not finished, seed after seed, and saves the scores after each run."""
    args = parse_args(argv)
    rows: List[dict] = []
    # All configs with the first seed come before the second: the table compares like with like at any time.
    for seed in args.seeds:
        for config in args.configs:
            cfg = read_config(config, args.cfg_options)
            if args.epochs is not None:
                set_epochs(cfg, args.epochs)
            if args.amp:
                use_mixed_precision(cfg)
            work_dir = args.work_dir / f'{Path(config).stem}_seed{seed}'
            if not is_finished(cfg, work_dir):
                train_with_seed(cfg, seed, work_dir)
            run = dict(
                config=config, seed=seed, amp=args.amp, epochs=cfg.train_cfg.max_epochs, threads=torch.get_num_threads()
            )
            rows.append(dict(run, **summary_of(read_run(work_dir))))
            save_json(rows, args.out, '--out')
            print(f'\n{table(rows)}\n', flush=True)


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """The arguments of the command."""
    parser = Parser(
        description='Train detectors one after another with several seeds, and save their scores. The command continues '
        'interrupted runs and does not repeat finished ones.'
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files of detectors')
    parser.add_argument('--seeds', nargs='+', type=whole(0), default=[0, 1, 2], metavar='S', help='default: 0 1 2')
    parser.add_argument('--epochs', type=whole(1), metavar='N', help='train for N epochs; the schedule is scaled to them')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision: float16 on a GPU, bfloat16 on the CPU')
    parser.add_argument(
        '--work-dir', type=new_folder, default='work_dirs/compare', help='parent of the work dirs (default: %(default)s)'
    )
    parser.add_argument(
        '--out', type=new_file('.json'), required=True, metavar='FILE.json', help='file for the scores of all runs'
    )
    add_config_options(parser)
    return parser.parse_args(argv)
