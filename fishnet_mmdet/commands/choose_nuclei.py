"""choose_nuclei: copies a part of the nuclei of the 2018 Data Science Bowl, as the demo has it."""

import argparse
from pathlib import Path
from typing import List, Optional

from ..datasets.nuclei import choose_nuclei
from ..errors import FishNetError
from .arguments import Parser, new_folder, whole


def main(argv: Optional[List[str]] = None) -> None:
    """Copies the images, and prints how many there are of each kind."""
    args = parse_args(argv)
    try:
        kinds = choose_nuclei(args.source, args.out, None if args.all else args.train, args.val)
    except OSError as error:
        raise FishNetError(f'cannot write the data set: {error}') from error
    print(args.out)
    for split, counts in kinds.items():
        print(f'{split}: {sum(counts.values())} images ({", ".join(f"{count} {kind}" for kind, count in counts.items())})')


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """The arguments of the command."""
    parser = Parser(description='Copy a part of the nuclei of the 2018 Data Science Bowl, by kind of image')
    parser.add_argument(
        'source', type=Path, metavar='SOURCE', help='folder with train/, val/, instances_train.json and instances_val.json'
    )
    parser.add_argument('out', type=new_folder, metavar='OUT', help='folder of the new data set')
    train = parser.add_mutually_exclusive_group()
    train.add_argument('--train', type=whole(1), default=100, metavar='N', help='training images (default: %(default)s)')
    train.add_argument('--all', action='store_true', help='train on every image that is not one of the validation images')
    parser.add_argument('--val', type=whole(1), default=40, metavar='N', help='validation images (default: %(default)s)')
    return parser.parse_args(argv)
