"""export_onnx: writes a trained model to one ONNX file, from the image to the objects."""

import argparse
from pathlib import Path
from typing import List, Optional

from ..engine.checks import check_checkpoint
from ..engine.config_checks import check_config
from ..engine.configs import read_config
from ..errors import FishNetError
from ..inference import TRAINED, Predictor, find_model
from .arguments import Parser, add_config_options, new_file


def main(argv: Optional[List[str]] = None) -> None:
    """Reads the model, writes the file, and compares both."""
    args = parse_args(argv)
    check_packages()
    from ..deploy.export import PLACES, describe, export, save, verify

    config, checkpoint = find_model(args.config, args.checkpoint)
    cfg = read_config(config, args.cfg_options)
    check_config(cfg, ['model', 'test_dataloader'])
    checkpoint = check_checkpoint(checkpoint)
    predictor = Predictor(cfg, checkpoint, 'cpu')
    exported = export(predictor.model, cfg, args.preprocessing)
    describe(exported, config, checkpoint, 'fishnet_mmdet export_onnx')
    print(verify(exported, predictor, args.image))
    save(exported, args.out)
    print(f'{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, {PLACES[args.preprocessing]}')


def check_packages() -> None:
    """Checks that everything is there that writes and runs ONNX.

    Raises:
        FishNetError: If not.
    """
    missing = []
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        try:
            __import__(package)
        except ImportError:
            missing.append(package)
    if missing:
        raise FishNetError(f'export_onnx needs {", ".join(missing)}: pip install {" ".join(missing)}')


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
        '--image', type=Path, metavar='FILE', help='image to compare the file with the model on; default: drawn shapes'
    )
    add_config_options(parser)
    return parser.parse_args(argv)
