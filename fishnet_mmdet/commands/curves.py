"""python -m fishnet_mmdet curves: draws losses and scores of training runs."""

from pathlib import Path
from typing import Optional, Sequence

from ..analysis.curves import draw_comparison, draw_curves
from ..analysis.runs import read_run
from ..errors import FishNetError
from .arguments import PICTURES, Parser, new_file
from .outputs import save_figure


def make_parser() -> Parser:
    """The arguments of the command."""
    parser = Parser(
        prog='python -m fishnet_mmdet curves',
        description='Draw losses, learning rate and scores of a training run, or compare several runs.',
    )
    parser.add_argument('work_dirs', type=Path, nargs='+', metavar='WORK_DIR', help='work dir of a training run')
    parser.add_argument(
        '--out', type=new_file(*PICTURES), metavar='FILE', help='picture to write (default: curves.png in the first work dir)'
    )
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Runs the command.

    Raises:
        FishNetError: If a work dir has no logs, two have the same name, or the picture cannot be written.
    """
    args = make_parser().parse_args(argv)
    out = args.out or args.work_dirs[0] / 'curves.png'
    runs = {work_dir.resolve().name: read_run(work_dir) for work_dir in args.work_dirs}
    if len(runs) < len(args.work_dirs):
        raise FishNetError('two work dirs have the same name, which labels their curves: rename one')
    if len(runs) > 1:
        figure = draw_comparison(runs)
    else:
        ((title, run),) = runs.items()
        figure = draw_curves(run, title)
    save_figure(figure, out, '--out')
    print(out)
