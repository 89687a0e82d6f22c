"""make_shapes: generates a small COCO-format data set of textured shapes."""

import argparse
import json
from pathlib import Path
from typing import List, Optional

from ..datasets.shapes import CLASSES, SPLITS, add_panoptic, make_shapes
from ..errors import FishNetError
from .arguments import Parser, whole


def main(argv: Optional[List[str]] = None) -> None:
    """Makes the data set, and prints its content."""
    args = parse_args(argv)
    try:
        make_shapes(args.out, args.train, args.val, args.seed)
        if args.panoptic:
            add_panoptic(args.out)
    except OSError as error:
        raise FishNetError(f'cannot write the data set: {error}') from error
    print(args.out)
    for split in SPLITS:
        print(summary(args.out, split))


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """The arguments of the command."""
    parser = Parser(description='Generate a small COCO-format data set of textured shapes')
    parser.add_argument('out', type=Path, metavar='OUT', help='folder of the new data set')
    parser.add_argument('--train', type=whole(1), default=200, metavar='N', help='training images (default: %(default)s)')
    parser.add_argument('--val', type=whole(1), default=50, metavar='N', help='validation images (default: %(default)s)')
    parser.add_argument('--seed', type=whole(0), default=0, metavar='S', help='seed of the images (default: %(default)s)')
    parser.add_argument(
        '--panoptic', action='store_true', help='also write panoptic annotations: shapes are things, the background is stuff'
    )
    return parser.parse_args(argv)


def summary(out_dir: Path, split: str) -> str:
    """One line: images, instances, instances of each class, and instances of each of COCO's sizes."""
    content = json.loads((out_dir / 'annotations' / f'instances_{split}.json').read_text())
    labels = [annotation['category_id'] for annotation in content['annotations']]
    areas = [annotation['area'] for annotation in content['annotations']]
    classes = ', '.join(f'{labels.count(number)} {name}' for number, name in enumerate(CLASSES, 1))
    small, large = sum(area < 32**2 for area in areas), sum(area > 96**2 for area in areas)
    sizes = f'{small} small, {len(areas) - small - large} medium, {large} large'
    return f'{split}: {len(content["images"])} images, {len(labels)} instances ({classes}; {sizes})'
