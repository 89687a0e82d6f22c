"""compare: trains models one after another with several seeds, and prints a table of their scores."""

import argparse
import json
from pathlib import Path
from typing import List, Optional

import torch
from mmengine.config import Config

from ..analysis.comparison import hash_of, summary_of, table, train
from ..analysis.runs import read_run
from ..engine.configs import read_config, use_mixed_precision
from ..engine.schedule import set_epochs
from ..errors import FishNetError
from .arguments import Parser, add_config_options, new_file, new_folder, whole
from .outputs import save_json


def main(argv: Optional[List[str]] = None) -> None:
    """Trains what is not finished, seed after seed, and saves the scores after each run."""
    args = parse_args(argv)
    done = {row['hash']: row for row in _read(args.out)}
    rows: List[dict] = []
    # All configs with the first seed come before the second: the table compares like with like at any time.
    for seed in args.seeds:
        for config in args.configs:
            cfg = read_config(config, args.cfg_options)
            if args.epochs is not None:
                set_epochs(cfg, args.epochs)
            if args.amp:
                use_mixed_precision(cfg)
            cfg.randomness = dict(seed=seed)
            name = hash_of(cfg)
            if name not in done:
                done[name] = dict(_train(cfg, config, name, args.work_dir), hash=name, amp=args.amp)
            rows.append(done[name])
            # Runs of other configs that the file has stay there.
            save_json(list(done.values()), args.out, '--out')
            print(f'\n{table(rows)}\n', flush=True)


def _train(cfg: Config, config: str, name: str, work_dirs: Path) -> dict:
    """Trains a config, and returns what is saved of the run."""
    # With the hash of the settings, or a run with other ones would be taken for this one.
    work_dir = work_dirs / f'{Path(config).stem}_seed{cfg.randomness.seed}_{name}'
    run = dict(
        config=config,
        seed=cfg.randomness.seed,
        epochs=cfg.train_cfg.max_epochs,
        threads=torch.get_num_threads(),
        parameters=train(cfg, work_dir),
    )
    return dict(run, **summary_of(read_run(work_dir)))


def _read(file: Path) -> List[dict]:
    """The runs that an earlier call saved, here or on another machine."""
    if not file.is_file():
        return []
    try:
        rows = json.loads(file.read_text())
        [(row['hash'], row['curve']) for row in rows]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise FishNetError(f'--out {file} is not a file of this command: name another one, or delete it') from error
    return rows


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """The arguments of the command."""
    parser = Parser(
        description='Train detectors or classifiers one after another with several seeds, and save their scores. The command '
        'continues interrupted runs and does not repeat those that FILE.json has.'
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files')
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
