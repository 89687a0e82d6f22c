"""benchmark_ops: times our operators beside mmcv's compiled ones."""

import argparse
import fnmatch
from typing import List, Optional

from mmengine.logging import MMLogger
from terminaltables import GithubFlavoredMarkdownTable

from ..analysis.iterations import build_model, training_iteration
from ..analysis.operator_cases import CASES
from ..analysis.operators import compare, compiled, machine
from ..engine.checks import check_data
from ..engine.config_checks import check_config
from ..engine.configs import read_config
from ..errors import FishNetError
from .arguments import Parser, add_config_options, whole


def main(argv: Optional[List[str]] = None) -> None:
    """Times the cases one by one, and prints the table."""
    args = parse_args(argv)
    if args.cases and args.iteration:
        raise FishNetError('--iteration times configs instead of operators, and operators are named: remove one of the two')
    if args.cfg_options and not args.iteration:
        raise FishNetError(
            '--cfg-options changes the configs of --iteration, which is missing: add it, or remove --cfg-options'
        )
    if args.iteration:
        # Building a model logs a line for every parameter.
        MMLogger.get_current_instance().setLevel('WARNING')
        steps = {f'iteration of {file}': iteration(file, args) for file in args.iteration}
    else:
        steps = {name: CASES[name] for name in chosen(args.cases)}
    print(machine())
    if compiled() is None:
        print('mmcv has no compiled operators here: the table has times of ours only')
    rows = [('', 'ours (ms)', 'compiled (ms)', 'ratio')]
    for number, (name, make) in enumerate(steps.items(), 1):
        print(f'{number}/{len(steps)} {name}', flush=True)
        result = compare(make(), args.rounds)
        rows.append((name, milliseconds(result['ours']), milliseconds(result['compiled']), ratio(result['ratio'])))
    print(GithubFlavoredMarkdownTable(rows).table)
    print(f'Medians of {args.rounds} rounds; in each of them both take their turn. ratio: median of the ratios in each round.')


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """The arguments."""
    parser = Parser(description='Time our operators beside those that are compiled in mmcv, if there are any')
    parser.add_argument(
        'cases', nargs='*', metavar='PATTERN', help=f'only these cases, such as "nms*" (default: all {len(CASES)})'
    )
    parser.add_argument('--rounds', type=whole(1), default=7, metavar='N', help='timed rounds (default: %(default)s)')
    parser.add_argument(
        '--iteration',
        nargs='+',
        metavar='CONFIG',
        help='instead of operators, time a training iteration of these configs, on the first batch of their data set',
    )
    add_config_options(parser)
    return parser.parse_args(argv)


def chosen(patterns: List[str]) -> List[str]:
    """The names of the cases that match one of the patterns; of all without patterns.

    Raises:
        FishNetError: If a pattern matches no case.
    """
    for pattern in patterns:
        if not fnmatch.filter(CASES, pattern):
            raise FishNetError(f'no case matches {pattern!r}: the cases are\n' + '\n'.join(f'  {name}' for name in CASES))
    return [name for name in CASES if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def iteration(file: str, args: argparse.Namespace):
    """What makes the step of a training iteration of a config, which is checked at once."""
    cfg = read_config(file, args.cfg_options)
    check_config(cfg, ['model', 'train_dataloader'])
    check_data(cfg, ['train_dataloader'])
    return lambda: training_iteration(cfg, build_model(cfg))


def milliseconds(seconds: Optional[float]) -> str:
    """A time in the table."""
    return '' if seconds is None else f'{seconds * 1000:.1f}'


def ratio(value: Optional[float]) -> str:
    """A ratio in the table."""
    return '' if value is None else f'{value:.2f}'
