"""python -m fishnet_mmdet stats: counts what networks cost, and draws the paper's Figure 4."""

from typing import List, Optional, Sequence

from terminaltables import GithubFlavoredMarkdownTable

from ..analysis.counts import CLASSES, SIDE, count_costs
from ..analysis.figure4 import ERRORS, draw_errors
from ..analysis.networks import NETWORKS
from .arguments import PICTURES, Parser, new_file, whole
from .outputs import parse_size, save_figure, save_json

HEADER = (
    'network',
    'parameters',
    'with cls head',
    'multiply-adds',
    'with cls head',
    'saved for backward, detection',
    'saved for backward, pretraining',
    'outputs: channels x height x width',
)
NOTES = f"""
Input: {{batch}} x {{size}}, float32. Columns 2 and 4 are the backbone alone; "with cls head" adds the classification head for
{CLASSES} classes (mmdet has none for HRNet).
Multiply-adds: convolutions and matrix products, for one image. Counters that also add BN and up-sampling show about 0.5 % more
(FishNet-150: 6.432 G in place of 6.398 G).
Saved for backward: what autograd saves of the batch in the backbone, without parameters. The peak memory of a step is higher.
In detection, BN and the stem are frozen as in our configs (HRNet: BN alone). In pretraining, everything is trained."""


def make_parser() -> Parser:
    """The arguments of the command."""
    parser = Parser(
        prog='python -m fishnet_mmdet stats',
        description='Count parameters, multiply-adds and activation memory of FishNets and other backbones.',
    )
    parser.add_argument(
        'networks',
        nargs='*',
        default=list(NETWORKS),
        metavar='NETWORK',
        help=f'name or config file (.py); names: {", ".join(NETWORKS)}; default: all of them',
    )
    parser.add_argument('--size', default=f'{SIDE}x{SIDE}', metavar='HxW', help='input size (default: %(default)s)')
    parser.add_argument('--batch', type=whole(1), default=1, metavar='N', help='images in a batch (default: %(default)s)')
    parser.add_argument('--json', type=new_file('.json'), metavar='FILE', help='also save the exact counts to this file')
    parser.add_argument(
        '--figure',
        type=new_file(*PICTURES),
        metavar='FILE',
        help=f"also draw the paper's Figure 4 ({', '.join(ERRORS)}) to this file",
    )
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Runs the command.

    Raises:
        FishNetError: If an argument is wrong, or a file cannot be written.
    """
    args = make_parser().parse_args(argv)
    size = parse_size(args.size)
    rows = [dict(count_costs(name, size, args.batch), published_top1_error=ERRORS.get(name)) for name in args.networks]
    print(format_table(rows))
    if args.json:
        save_json(rows, args.json, '--json')
    if args.figure:
        save_figure(draw_errors(rows), args.figure, '--figure')


def format_table(rows: List[dict]) -> str:
    """The results of :func:`..analysis.counts.count_costs` as a Markdown table, with its explanation below."""

    def count(value):
        return '' if value is None else f'{value:,}'

    def giga(value):
        return '' if value is None else f'{value / 1e9:.3f} G'

    lines = [
        [
            row['title'],
            count(row['parameters']),
            count(row['parameters_with_head']),
            giga(row['multiply_adds']),
            giga(row['multiply_adds_with_head']),
            *(f'{row["saved_bytes"][setting] / 2**20:,.1f} MiB' for setting in ('detection', 'pretraining')),
            ', '.join('x'.join(map(str, shape)) for shape in row['outputs']),
        ]
        for row in rows
    ]
    table = GithubFlavoredMarkdownTable([HEADER, *lines])
    table.justify_columns = dict.fromkeys(range(1, len(HEADER) - 1), 'right')
    return table.table + '\n' + NOTES.format(size='x'.join(map(str, rows[0]['size'])), batch=rows[0]['batch'])
