"""Makes a small COCO-format data set of textured shapes: python tools/make_shapes.py OUT [--train N] [--val N]."""

import argparse
import json
import sys
from pathlib import Path

from fishnet_mmdet.datasets.shapes import CLASSES, SPLITS, add_panoptic, make_shapes
from fishnet_mmdet.errors import FishNetError


def summary(out_dir: Path, split: str) -> str:
    """One line: images, instances, instances of each class and of each of COCO's sizes."""
    content = json.loads((out_dir / 'annotations' / f'instances_{split}.json').read_text())
    labels = [annotation['category_id'] for annotation in content['annotations']]
    areas = [annotation['area'] for annotation in content['annotations']]
    classes = ', '.join(f'{labels.count(number)} {name}' for number, name in enumerate(CLASSES, 1))
    small, large = sum(area < 32**2 for area in areas), sum(area > 96**2 for area in areas)
    sizes = f'{small} small, {len(areas) - small - large} medium, {large} large'
    return f'{split}: {len(content["images"])} images, {len(labels)} instances ({classes}; {sizes})'


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description='Makes a small COCO-format data set of textured shapes.')
    parser.add_argument('out', type=Path, metavar='OUT', help='the folder to make')
    parser.add_argument('--train', type=int, default=200, metavar='N', help='training images (default: %(default)s)')
    parser.add_argument('--val', type=int, default=50, metavar='N', help='validation images (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, metavar='S', help='another seed, other images (default: 0)')
    parser.add_argument(
        '--panoptic', action='store_true', help='write panoptic annotations too: the shapes as things, the background as stuff'
    )
    args = parser.parse_args()
    try:
        make_shapes(args.out, args.train, args.val, args.seed)
        if args.panoptic:
            add_panoptic(args.out)
    except (FishNetError, OSError) as error:
        sys.exit(str(error))
    print(args.out)
    for split in SPLITS:
        print(summary(args.out, split))


if __name__ == '__main__':
    main()
