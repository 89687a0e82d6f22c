"""fishify: writes a config that inherits a config with a ResNet, and replaces the ResNet by FishNet."""

import argparse
from pathlib import Path
from typing import List, Optional

from ..checkpoints.names import RELEASES
from ..engine.config_tree import walk
from ..engine.configs import read_config
from ..errors import FishNetError
from ..fishify.writing import write_config
from .arguments import Parser


def main(argv: Optional[List[str]] = None) -> None:
    """Writes the config, and prints what was left out and how to train it."""
    args = parse_args(argv)
    if args.checkpoint in ('', 'None', 'none'):
        raise FishNetError(f'--checkpoint {args.checkpoint!r} names no weights: to train without weights, use --from-scratch')
    if args.checkpoint and args.from_scratch:
        raise FishNetError('--from-scratch uses no weights, and --checkpoint names some: remove one of the two')
    out = Path(args.out)
    for note in write_config(args.config, out, args.depth, args.checkpoint, args.from_scratch):
        print(f'- {note}')
    print(f'{out} is {args.config} with FishNet-{args.depth}. To train it: python tools/train.py {out}')
    print(_about_weights(out))


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """The arguments."""
    parser = Parser(description='Write a config that inherits a config with a ResNet and replaces the ResNet by FishNet.')
    parser.add_argument('config', help='config file, or mmdet::FAMILY/NAME.py for a config of mmdet')
    parser.add_argument('--depth', type=int, default=150, help='99, 150 (default) or 201')
    parser.add_argument(
        '--checkpoint', metavar='NAME_OR_FILE', help='pretrained weights: a name, file or URL; default: fishnet<DEPTH>'
    )
    parser.add_argument(
        '--from-scratch', action='store_true', help='train without pretrained weights: the backbone, BN included, is trained'
    )
    parser.add_argument('-o', '--out', required=True, metavar='FILE', help='the config file to write')
    return parser.parse_args(argv)


def _about_weights(out: Path) -> str:
    """Which weights training starts from, by the written config."""
    checkpoints = [
        value['checkpoint']
        for _, value in walk(read_config(str(out)).model.to_dict())
        if isinstance(value, dict) and value.get('type') == 'FishNetPretrained'
    ]
    if not checkpoints:
        return 'Training starts from random weights.'
    checkpoint = checkpoints[0]
    if '://' in checkpoint:
        return f'Training downloads the pretrained weights from {checkpoint}.'
    if Path(checkpoint).is_file():
        return f'Training starts from the pretrained weights in {checkpoint}.'
    if checkpoint in RELEASES:
        return f'Training downloads the pretrained weights {checkpoint} once, and then uses the saved file.'
    return f'Training needs the pretrained weights {checkpoint}: this file does not exist yet.'
