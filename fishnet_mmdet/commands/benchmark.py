"""python -m fishnet_mmdet benchmark: compares time and memory of backbones."""

import sys
import time
from argparse import Namespace
from itertools import product
from typing import Callable, List, Optional, Sequence

import torch
from terminaltables import GithubFlavoredMarkdownTable

from ..analysis.candidates import find_entry
from ..analysis.networks import NETWORKS, SETTINGS
from ..analysis.timing import DTYPES, Case, Conditions, compare, describe, headline
from ..analysis.timing_figure import draw_timing
from .arguments import PICTURES, Parser, device, new_file, whole
from .outputs import parse_size, save_figure, save_json

DEFAULT = ('fishnet150', 'reference_fishnet150', 'resnet50', 'resnet101', 'resnext50_32x4d', 'hrnet_w32')
STEPS = dict(forward=('forward',), train=('train',), both=('forward', 'train'))
NAMES = (
    f'Networks: {", ".join(NETWORKS)}; the backbone of a config file (.py); reference_fishnet99, 150 and 201: the '
    "authors' definition in plain PyTorch modules; pytorchcv_fishnet99 and 150: the implementation of the package pytorchcv; "
    'convolutions_NETWORK: only the convolutions of NETWORK, as a lower bound for its time. NETWORK@channels_last: weights '
    'and images in channels-last layout.'
)
NOTES = """
time: median of {rounds} rounds; in each round every network is measured once. ratio: median of the ratios in each round.
train: forward and backward from given gradients of the outputs, without optimizer. saved for backward: what autograd saves,
without parameters, but with the copies of them that autocast makes. peak memory: the most memory of a step beyond what was
taken before it, with the gradients of the parameters."""


def make_parser() -> Parser:
    """The arguments of the command."""
    parser = Parser(
        prog='python -m fishnet_mmdet benchmark', description='Compare time and memory of backbones.', epilog=NAMES
    )
    add = parser.add_argument
    add(
        'networks',
        nargs='*',
        default=DEFAULT,
        metavar='NETWORK',
        help=f'see below; ratios are to the first (default: {" ".join(DEFAULT)})',
    )
    add(
        '--step', choices=STEPS, default='both', help='forward pass, forward and backward pass, or both (default: %(default)s)'
    )
    add(
        '--setting',
        choices=SETTINGS,
        default='detection',
        help='detection: frozen BN and stem; pretraining: everything is trained (default: %(default)s)',
    )
    add('--size', nargs='+', default=['224x224'], metavar='HxW', help='input sizes (default: 224x224)')
    add('--batch', type=whole(1), nargs='+', default=[1], metavar='N', help='batch sizes (default: 1)')
    add('--dtype', choices=DTYPES, default='float32', help='bfloat16 and float16 use autocast (default: %(default)s)')
    add('--compile', action='store_true', help='torch.compile each network, for each size again')
    add(
        '--rounds',
        type=whole(1),
        default=5,
        metavar='N',
        help='number of timed rounds; in each round every network is measured once (default: %(default)s)',
    )
    add('--threads', type=whole(1), metavar='N', help="number of CPU threads (default: PyTorch's)")
    add('--device', type=device, choices=['cpu', 'cuda'], help='default: cuda if there is a CUDA device, else cpu')
    add(
        '--json',
        type=new_file('.json'),
        metavar='FILE',
        help='also save the results and the time of every round',
    )
    add('--plot', type=new_file(*PICTURES), metavar='FILE', help='also draw the results to this file')
    return parser


def check(args: Namespace) -> None:
    """Checks the arguments, before the work begins.

    Raises:
        FishNetError: If one is wrong.
    """
    for name in args.networks:
        find_entry(name)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Runs the command.

    Raises:
        FishNetError: If an argument is wrong, or a network cannot compute a case.
    """
    args = make_parser().parse_args(argv)
    check(args)
    sizes = list(map(parse_size, args.size))
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    torch.manual_seed(0)
    if args.threads:
        torch.set_num_threads(args.threads)
    conditions = Conditions(args.setting, args.dtype, device, args.compile, args.rounds)
    cases = [Case(step, *size, batch) for size, batch, step in product(sizes, args.batch, STEPS[args.step])]
    report = make_report(cases, args.rounds)
    results = [row for case in cases for row in compare(args.networks, case, conditions, report)]
    about = describe(conditions)
    print(format_table(results, about))
    if args.json:
        save_json(dict(about, results=results), args.json, '--json')
    if args.plot:
        save_figure(draw_timing(results, about), args.plot, '--plot')


def make_report(cases: Sequence[Case], rounds: int) -> Callable[[Case, str], None]:
    """A function that prints the progress and an estimate of the time left."""
    # A training step takes about three times as long as a forward pass.
    shares = {case: case.pixels * (3 if case.step == 'train' else 1) for case in cases}
    left, begin = sum(shares[case] for case in cases) * (rounds + 2), time.monotonic()
    total = left

    def report(case, title):
        nonlocal left
        left -= shares[case]
        minutes = (time.monotonic() - begin) / 60 * left / (total - left)
        print(f'{case.step}, {case.images}: {title} done ({minutes:.1f} min left)', file=sys.stderr, flush=True)

    return report


def format_table(results: List[dict], about: dict) -> str:
    """The results as a Markdown table: the conditions above, the explanation below."""

    def mebi(count):
        return '' if count is None else f'{count / 2**20:,.1f} MiB'

    ratio = f'ratio to {results[0]["title"]}'
    header = ['input', 'step', 'network', 'time', 'min ... max', ratio, 'saved for backward', 'peak memory']
    lines = [
        [
            row['images'],
            row['step'],
            row['title'],
            f'{1e3 * row["median_seconds"]:,.1f} ms',
            f'{1e3 * min(row["seconds"]):,.1f} ... {1e3 * max(row["seconds"]):,.1f}',
            f'{row["ratio"]:.3f}',
            mebi(row['saved_bytes']),
            mebi(row['peak_bytes']),
        ]
        for row in results
    ]
    table = GithubFlavoredMarkdownTable([header, *lines])
    table.justify_columns = dict.fromkeys(range(3, len(header)), 'right')
    return f'{headline(about)}\n\n{table.table}\n{NOTES.format(**about)}'
