"""export_onnx: writes a trained model to one ONNX file, from the image to the objects."""

import argparse
from pathlib import Path
from typing import List, Optional

import torch

from ..deploy.images import read_image
from ..engine.checks import check_checkpoint
from ..engine.class_names import check_num_classes
from ..engine.config_checks import check_config
from ..engine.configs import read_config
from ..errors import FishNetError
from ..inference import TRAINED, Predictor, find_model
from .arguments import Parser, add_config_options, new_file, whole
from .infer import find_images

#: What exporting needs besides PyTorch and mmdet.
PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')
#: The first PyTorch whose exporter knows sizes that depend on data.
OLDEST = (2, 6)


def main(argv: Optional[List[str]] = None) -> None:
    """Reads the model, writes the file, and compares both."""
    args = parse_args(argv)
    check_packages()
    # Imported here: it needs those packages.
    from ..deploy.export import PLACES, describe, drawn_shapes, export, save_as, verify

    images = calibration_images(args) if args.precision == 'int8' else []
    image = read_image(args.image) if args.image else drawn_shapes()
    config, checkpoint = find_model(args.config, args.checkpoint)
    cfg = read_config(config, args.cfg_options)
    check_config(cfg, ['model', 'test_dataloader'])
    checkpoint = check_checkpoint(checkpoint)
    predictor = Predictor(cfg, checkpoint, 'cpu')
    check_num_classes(predictor.model, predictor.classes)
    model = export(predictor.model, cfg, args.preprocessing)
    describe(model, config, checkpoint, 'fishnet_mmdet export_onnx')
    print(verify(model, predictor, image))
    save_as(model, args.precision, args.out, images)
    print(f'{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, {args.precision}, {PLACES[args.preprocessing]}')


def check_packages() -> None:
    """Checks that PyTorch and the packages can write and run ONNX.

    Raises:
        FishNetError: If not.
    """
    if torch.__version__ < OLDEST:
        raise FishNetError(f'export_onnx needs torch {".".join(map(str, OLDEST))} or newer, and this is {torch.__version__}')
    missing = []
    for package in PACKAGES:
        try:
            __import__(package)
        except ImportError:
            missing.append(package)
    if missing:
        raise FishNetError(f'export_onnx needs {", ".join(missing)}: pip install {" ".join(missing)}')


def calibration_images(args: argparse.Namespace) -> List[Path]:
    """The images of ``--calibration``, at equal steps in the folder.

    Raises:
        FishNetError: If there are none.
    """
    if args.calibration is None:
        raise FishNetError('--precision int8 needs --calibration DIR, a folder of training images')
    images = find_images(args.calibration)
    step = max(1, len(images) // args.calibration_images)
    return images[::step][: args.calibration_images]


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """The arguments."""
    parser = Parser(description='Write a trained model to one ONNX file: the image goes in, objects come out')
    parser.add_argument('config', help=f'config file of a model; or a trained model: {", ".join(TRAINED)}')
    parser.add_argument('checkpoint', nargs='?', help='checkpoint file; a trained model needs none')
    parser.add_argument('-o', '--out', type=new_file('.onnx'), required=True, metavar='FILE.onnx', help='the file to write')
    parser.add_argument(
        '--preprocessing',
        choices=['inside', 'beside'],
        default='inside',
        help='inside: the file takes an image as OpenCV reads it; beside: it takes the resized and normalised image, as the '
        'metadata describe it (default: inside)',
    )
    parser.add_argument(
        '--precision',
        choices=['float32', 'float16', 'int8'],
        default='float32',
        help='of weights and features; boxes and scores are float32 (default: float32)',
    )
    parser.add_argument('--calibration', type=Path, metavar='DIR', help='for int8: a folder of training images')
    parser.add_argument(
        '--calibration-images', type=whole(1), default=50, metavar='N', help='for int8: use this many of them (default: 50)'
    )
    parser.add_argument(
        '--image', type=Path, metavar='FILE', help='image to compare the file with the model on; default: drawn shapes'
    )
    add_config_options(parser)
    return parser.parse_args(argv)
