"""test: evaluates a checkpoint."""

import argparse
import logging
from pathlib import Path
from typing import List, Optional

from mmdet.engine.hooks.utils import trigger_visualization_hook
from mmengine.logging import print_log
from torch import nn

from ..checkpoints import check_fits
from ..engine.augmented_testing import use_test_time_augmentation
from ..engine.building import build_runner
from ..engine.checks import check_checkpoint, check_data
from ..engine.class_names import check_checkpoint_classes, check_num_classes, check_same_classes
from ..engine.compiling import compile_parts
from ..engine.dumping import DumpPredictions
from ..engine.hooks import FaultyImagesHook
from ..engine.metrics import choose_metrics
from ..errors import FishNetError
from ..inference import draw_objects_clearly
from ..report import TestReport
from .arguments import Parser, add_common_arguments, add_compile, add_strict_data, load_config, new_file, new_folder, number

#: Settings without which nothing is tested.
NEEDED = ('model', 'test_dataloader', 'test_evaluator', 'test_cfg')


def main(argv: Optional[List[str]] = None) -> None:
    """Reads the config, checks it and the checkpoint, and evaluates."""
    args = parse_args(argv)
    cfg = load_config(args, NEEDED)
    if args.eval or args.tta:
        choose_metrics(cfg, args.eval, tta=args.tta)
    notes = check_data(cfg, ['test_dataloader'], args.strict_data)
    cfg.load_from = args.checkpoint = check_checkpoint(args.checkpoint)
    classes = check_same_classes(cfg, ['test_dataloader'])
    check_checkpoint_classes(classes, args.checkpoint)
    if args.show or args.show_dir:
        if 'visualization' not in cfg.default_hooks:
            raise FishNetError(
                '--show and --show-dir draw objects, and this config has no visualization hook: use --report DIR'
            )
        cfg = trigger_visualization_hook(cfg, args)
        draw_objects_clearly(cfg)
    if args.tta:
        use_test_time_augmentation(cfg)
    runner = build_runner(cfg)
    if not args.tta:
        check_num_classes(runner.model, classes)
        check_fits_config(runner.model, args.config, args.checkpoint)
    runner.register_hook(FaultyImagesHook())
    if args.compile:
        compile_parts(runner.model)
    for note in notes:
        print_log(note, logger='current', level=logging.WARNING)
    if args.out:
        # mmdet's data sets in COCO's format know the ids of their file.
        ids = getattr(runner.test_loop.dataloader.dataset, 'cat_ids', None)
        runner.test_evaluator.metrics.append(DumpPredictions(str(args.out), ids))
    if not args.report:
        runner.test()
    elif page := TestReport(runner, args.report).test(args.checkpoint):
        print(f'Report: {page}')


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """The arguments, as mmdet's, and ``--eval``."""
    parser = Parser(description='Evaluate a checkpoint')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    add_common_arguments(parser)
    parser.add_argument(
        '--eval',
        nargs='+',
        metavar='METRIC',
        help="metrics: bbox and segm for instance segmentation, PQ for panoptic; default: the config's",
    )
    parser.add_argument(
        '--out',
        type=new_file('.pkl', '.pickle'),
        metavar='FILE.pkl',
        help="save the predictions to this file, with the data's category ids",
    )
    parser.add_argument(
        '--report',
        type=new_folder,
        metavar='DIR',
        help='save a page to this folder: AP, curves, and the images with truth and predictions; open its index.html',
    )
    parser.add_argument('--show', action='store_true', help='show predictions beside the ground truth in a window')
    parser.add_argument('--show-dir', type=new_folder, metavar='DIR', help='save these pictures to WORK_DIR/<time>/DIR')
    parser.add_argument('--wait-time', type=number(0), default=2, help='seconds that --show waits')
    parser.add_argument(
        '--tta',
        action='store_true',
        help="test-time augmentation: the config's tta_model, or a horizontal flip if it has none; merges boxes, not masks",
    )
    add_compile(parser)
    add_strict_data(parser)
    return parser.parse_args(argv)


def check_fits_config(model: nn.Module, config: str, checkpoint: str) -> None:
    """Checks that a checkpoint has exactly the tensors of the model of a config.

    Raises:
        FishNetError: If not. If training left a config beside the checkpoint, the message names that one.
    """
    try:
        check_fits(model, checkpoint)
    except FishNetError as error:
        beside = [file for file in sorted(Path(checkpoint).parent.glob('*.py')) if file.resolve() != Path(config).resolve()]
        hint = f'. Training saved its config, with all --cfg-options, as {beside[0]}: test that one' if beside else ''
        raise FishNetError(f'{error}{hint}') from error
