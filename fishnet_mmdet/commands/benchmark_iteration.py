"""benchmark_iteration: times whole iterations of training and tests, of several configs side by side."""

import argparse
import sys
from typing import List, Optional

from mmengine.config import Config
from terminaltables import GithubFlavoredMarkdownTable

from ..analysis.iteration_figure import draw_iterations, share_of_products, title_of
from ..analysis.operators import compiled, machine
from ..analysis.turns import STEPS, Contestant, compare
from ..engine.checks import check_data
from ..engine.config_checks import check_config
from ..engine.configs import read_config, use_mixed_precision
from .arguments import PICTURES, Parser, add_config_options, new_file, whole
from .outputs import save_figure, save_json

PRECISIONS = dict(float32=(False,), amp=(True,), both=(False, True))
NOTES = """
Medians of {rounds} rounds; in each of them every row takes its turn, on the same images, in a process of its own. ratio:
median of the ratios in each round. products: convolutions and matrix products, from the profiler. peak: the most memory
of the process. first: the first iteration, beyond the median. as mmdet: in the default layout, with memory freed to the
system; float32 with {operators}. Weights are random, so that a test finds no objects."""


def main(argv: Optional[List[str]] = None) -> None:
    """Times the configs, and prints the table."""
    args = parse_args(argv)
    rows = [
        Contestant(config, read(config, args, amp), args.step, amp, **how)
        for amp in PRECISIONS[args.precision if args.step == 'train' else 'float32']
        for configs, how in ((args.configs, {}), (args.compile, dict(compile=True)), (args.as_mmdet, dict(as_mmdet=True)))
        for config in configs
    ]
    results = []
    for amp in dict.fromkeys(row.amp for row in rows):
        some = [row for row in rows if row.amp == amp]
        results += compare(some, args.rounds, lambda text: print(text, file=sys.stderr, flush=True))
    about = machine()
    print(about)
    print(format_table(results))
    operators = "mmcv's compiled operators" if compiled() else 'operators in PyTorch: mmcv has none compiled here'
    print(NOTES.format(rounds=args.rounds, operators=operators))
    if args.json:
        save_json(dict(machine=about, results=results), args.json, '--json')
    if args.plot:
        save_figure(draw_iterations(results, about), args.plot, '--plot')


def read(config: str, args: argparse.Namespace, amp: bool) -> Config:
    """A config whose data is there."""
    dataloader = f'{args.step}_dataloader'
    cfg = read_config(config, args.cfg_options)
    check_config(cfg, ['model', dataloader, 'optim_wrapper'])
    check_data(cfg, [dataloader])
    if amp:
        use_mixed_precision(cfg)
    return cfg


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """The arguments."""
    parser = Parser(description='Time whole iterations of configs side by side, on images of their data sets')
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='as tools/train.py and tools/test.py run them')
    parser.add_argument('--compile', nargs='+', default=[], metavar='CONFIG', help='also these configs, with --compile')
    parser.add_argument(
        '--as-mmdet', nargs='+', default=[], metavar='CONFIG', help="also these configs, as mmdet's own commands run them"
    )
    parser.add_argument('--step', choices=STEPS, default='train', help='train a batch or test it (default: %(default)s)')
    parser.add_argument(
        '--precision',
        choices=PRECISIONS,
        default='both',
        help='amp: bfloat16 on the CPU; tests: float32 (default: %(default)s)',
    )
    parser.add_argument('--rounds', type=whole(1), default=5, metavar='N', help='timed rounds (default: %(default)s)')
    parser.add_argument('--json', type=new_file('.json'), metavar='FILE', help='also save the time of every round')
    parser.add_argument('--plot', type=new_file(*PICTURES), metavar='FILE', help='also draw the results to this file')
    add_config_options(parser)
    return parser.parse_args(argv)


def format_table(results: List[dict]) -> str:
    """The results as a Markdown table."""
    rows = [('config', 'precision', 'time', 'ratio', 'time / products', 'peak', 'first')]
    for one in results:
        rows.append(
            (
                title_of(one),
                'amp' if one['amp'] else 'float32',
                f'{one["median"]:.2f} s',
                f'{one["ratio"]:.2f}',
                f'{1 / share_of_products(one):.2f}' if one['products'] else '',
                f'{one["peak"] / 2**30:.2f} GiB',
                f'+{one["first"] - one["median"]:.1f} s',
            )
        )
    return GithubFlavoredMarkdownTable(rows).table
