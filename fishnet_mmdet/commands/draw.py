"""python -m fishnet_mmdet draw: draws a fish from tail to head."""

from pathlib import Path
from typing import Optional, Sequence

import torch

from ..analysis.drawing import draw_fish
from ..analysis.networks import NETWORKS, build, find_network
from ..errors import FishNetError
from .arguments import PICTURES, Parser, new_file
from .outputs import save_figure

FISHES = [name for name in NETWORKS if name.startswith('fish')]


def make_parser() -> Parser:
    """The arguments of the command."""
    parser = Parser(
        prog='python -m fishnet_mmdet draw', description='Draw a fish from tail to head: features, units, channels, strides.'
    )
    parser.add_argument(
        'network',
        nargs='?',
        default='fishnet150',
        metavar='NETWORK',
        help=f'name or config file (.py); names: {", ".join(FISHES)}; default: %(default)s',
    )
    parser.add_argument(
        '--out', type=new_file(*PICTURES), metavar='FILE', help='picture to write (default: NAME_OF_NETWORK.png)'
    )
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Runs the command.

    Raises:
        FishNetError: If there is no such fish, or the picture cannot be written.
    """
    args = make_parser().parse_args(argv)
    network = find_network(args.network)
    with torch.device('meta'):
        fish = getattr(build(network, 'detection'), 'fish', None)
    if fish is None:
        raise FishNetError(f'{args.network} is no FishNet: choose from {", ".join(FISHES)}, or give a config with a FishNet')
    out = args.out or Path(f'{Path(network.name).stem}.png')
    save_figure(draw_fish(fish), out, '--out')
    print(out)
