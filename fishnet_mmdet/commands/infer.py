"""infer: draws predictions on images, and saves them as JSON."""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

import mmcv
from mmengine.utils import track_iter_progress

from ..engine.checks import check_checkpoint
from ..engine.config_checks import check_config
from ..engine.configs import read_config
from ..errors import FishNetError
from ..inference import ENDING, TRAINED, ExportedPredictor, Predictor, find_model
from ..report import Site, check_predictions, facts_of_exported_run, facts_of_run, write_predictions
from .arguments import Parser, add_config_options, device, new_folder, number

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')


def main(argv: Optional[List[str]] = None) -> None:
    """Loads the model, and goes through the images."""
    args = parse_args(argv)
    images = find_images(Path(args.image))
    out_dir = args.out_dir
    if any(out_dir.resolve() == file.parent.resolve() for file in images):
        raise FishNetError(f'--out-dir {out_dir} is the folder of the images, which would be overwritten: name another folder')
    predictor, facts = (load_exported if args.config.endswith(ENDING) else load_checkpoint)(args)
    out_dir.mkdir(parents=True, exist_ok=True)
    site = None
    if args.report:
        check_predictions(predictor.results)
        site = Site(out_dir / 'report')

    records, read, unreadable = [], [], []
    names = picture_names(images)
    for file in track_iter_progress(images):
        image = mmcv.imread(str(file))
        if image is None:
            unreadable.append(file)
            continue
        height, width = image.shape[:2]
        read.append(file)
        records.append(dict(id=len(records) + 1, file_name=file.name, height=height, width=width))
        prediction = predictor(image)
        predictor.results.add(records[-1]['id'], prediction)
        predictor.results.draw(image, prediction, out_dir / names[file], args.score_thr)
    predictions = dict(images=records, **predictor.results.to_json())
    (out_dir / 'predictions.json').write_text(json.dumps(predictions))
    print(f'\n{out_dir}: {len(records)} pictures and predictions.json; {predictor.results.summary(args.score_thr)}')
    if site:
        print(f'Report: {write_predictions(site, facts(), read, predictions)}')
    if unreadable:
        sys.exit(f'error: these files are not images and were skipped: {", ".join(map(str, unreadable))}')


def load_checkpoint(args: argparse.Namespace) -> Tuple[Predictor, Callable[[], dict]]:
    """The model of a config and a checkpoint, and what the page says of them."""
    config, checkpoint = find_model(args.config, args.checkpoint)
    cfg = read_config(config, args.cfg_options)
    check_config(cfg, ['model', 'test_dataloader'])
    checkpoint = check_checkpoint(checkpoint)
    return Predictor(cfg, checkpoint, args.device), lambda: facts_of_run(cfg, checkpoint)


def load_exported(args: argparse.Namespace) -> Tuple[ExportedPredictor, Callable[[], dict]]:
    """An exported model, and what the page says of it.

    Raises:
        FishNetError: If there are arguments for a config or a checkpoint.
    """
    for name, value in (('CHECKPOINT', args.checkpoint), ('--cfg-options', args.cfg_options)):
        if value:
            raise FishNetError(f'{args.config} is an exported model, which has no config and no checkpoint: remove {name}')
    if args.device not in (None, 'cpu'):
        raise FishNetError(f'--device {args.device}: exported models run on the CPU; remove it, or use fishnet_mmdet.deploy')
    file = Path(args.config)
    predictor = ExportedPredictor(file)
    return predictor, lambda: facts_of_exported_run(file, predictor.properties)


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """The arguments."""
    parser = Parser(description='Draw the predictions of a model on images, and save them as JSON')
    parser.add_argument('image', help='an image file, or a folder of images')
    parser.add_argument(
        'config',
        help='config file of a detector, a panoptic model or a classifier; or a model that export_onnx has exported '
        f'(.onnx); or a trained model: {", ".join(TRAINED)}',
    )
    parser.add_argument('checkpoint', nargs='?', help='checkpoint file; exported and trained models need none')
    parser.add_argument(
        '--out-dir',
        type=new_folder,
        default='work_dirs/infer',
        metavar='DIR',
        help='folder for the pictures and predictions.json (default: %(default)s)',
    )
    parser.add_argument(
        '--score-thr',
        type=number(0, 1),
        default=0.3,
        help='draw instances with at least this score (default: 0.3); predictions.json has all of them',
    )
    parser.add_argument('--report', action='store_true', help='save a page with all predictions to DIR/report/index.html')
    parser.add_argument('--device', type=device, help='cpu, cuda:0 and so on; default: a GPU if there is one')
    add_config_options(parser)
    args = parser.parse_args(argv)
    # Elsewhere, the model comes before its images.
    if args.image.endswith(ENDING) and not args.config.endswith(ENDING):
        args.image, args.config = args.config, args.image
    return args


def find_images(path: Path) -> List[Path]:
    """The image files that a path stands for.

    Raises:
        FishNetError: If there are none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FishNetError(f'there is no image or folder {path}')
    images = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise FishNetError(f'the folder {path} has no images ({", ".join(IMAGE_SUFFIXES)})')
    return images


def picture_names(images: List[Path]) -> Dict[Path, str]:
    """The name of each image's picture: a.png for a.jpg; for images that differ in the suffix only a.jpg.png and a.png.png."""
    stems = Counter(file.stem for file in images)
    return {file: f'{file.stem if stems[file.stem] == 1 else file.name}.png' for file in images}
