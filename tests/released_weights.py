"""Downloads the published weights, and counts their errors on photographs of ten classes of ImageNet.

    curl -L https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz | tar -xz
    python tests/released_weights.py imagenette2-320/val

Imagenette (fast.ai) is a part of ImageNet that everybody may download. A network still chooses among all 1000 classes. The
published errors are on other images and all classes: an error is wrong here if it is far above, as with a wrong layer,
normalisation or order of the channels. The status is 1 if one is, or if a file cannot be downloaded or does not fit.
"""

import argparse
import sys
from pathlib import Path

import cv2
from mmengine.config import Config

from fishnet_mmdet import config_file
from fishnet_mmdet.checkpoints import RELEASES
from fishnet_mmdet.checkpoints.locate import find
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.inference import Predictor

#: Folder of the images, and number among the 1000 classes.
CLASSES = dict(
    n01440764=0,  # tench
    n02102040=217,  # English springer
    n02979186=482,  # cassette player
    n03000684=491,  # chain saw
    n03028079=497,  # church
    n03394916=566,  # French horn
    n03417042=569,  # garbage truck
    n03425413=571,  # gas pump
    n03445777=574,  # golf ball
    n03888257=701,  # parachute
)
#: In percent. Published errors are 19 to 23, on all classes.
LARGEST = 30


def count_errors(predictor: Predictor, folder: Path) -> tuple:
    """The number of images in class folders whose class is not predicted, and of all images."""
    wrong = total = 0
    for name, label in CLASSES.items():
        for file in sorted((folder / name).iterdir()):
            wrong += int(predictor(cv2.imread(str(file)))['scores'].argmax()) != label
            total += 1
    return wrong, total


def main(argv=None) -> int:
    """Prints a line for each file of weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('images', type=Path, metavar='DIR', help='a folder with ten class folders')
    parser.add_argument('names', nargs='*', metavar='NAME', help='published weights (default: all)')
    args = parser.parse_args(argv)
    if missing := [name for name in CLASSES if not (args.images / name).is_dir()]:
        parser.error(f'{args.images} has no folder {missing[0]}: name the folder val of Imagenette')
    bad = 0
    for name in args.names or RELEASES:
        depth = RELEASES[name].network.rpartition('-')[2]
        cfg = Config.fromfile(config_file(f'classification/fishnet{depth}_imagenet.py'))
        try:
            wrong, total = count_errors(Predictor(cfg, str(find(name))), args.images)
        except FishNetError as error:
            print(f'{name}: {error}', flush=True)
            bad += 1
            continue
        error = 100 * wrong / total
        bad += error > LARGEST
        print(
            f'{name}: top-1 error {error:.2f} % on {total} images (published, on ImageNet: {RELEASES[name].top1_error} %)',
            flush=True,
        )
    return int(bad > 0)


if __name__ == '__main__':
    sys.exit(main())
