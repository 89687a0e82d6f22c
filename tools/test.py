"""Evaluates a checkpoint: python tools/test.py CONFIG CHECKPOINT --eval bbox segm"""

import argparse
from copy import deepcopy

from mmengine.config import ConfigDict

try:
    from fishnet_mmdet.engine import launch
except ValueError as error:  # a FishNetError: the stack does not fit, and its message says what to do
    raise SystemExit(f'error: {error}') from None
from fishnet_mmdet.checkpoints import check_fits
from fishnet_mmdet.engine.metrics import choose_metrics, predicts_masks
from fishnet_mmdet.errors import FishNetError


def parse_args():
    """The arguments, as mmdet's, and ``--eval``."""
    parser = argparse.ArgumentParser(description='Test (and evaluate) a model')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    launch.add_common_arguments(parser)
    parser.add_argument(
        '--eval',
        nargs='+',
        metavar='METRIC',
        help="metrics, bbox and segm for instance segmentation; default: the config's",
    )
    parser.add_argument('--out', metavar='FILE.pkl', help='file for the predictions')
    parser.add_argument('--show', action='store_true', help='show predictions beside the truth')
    parser.add_argument('--show-dir', metavar='DIR', help='save these pictures to WORK_DIR/<time>/DIR')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds that --show waits')
    parser.add_argument(
        '--tta',
        action='store_true',
        help='test-time augmentation, by flipping if the config has no tta_model; boxes only',
    )
    return parser.parse_args()


def main():
    """Config, checks, evaluation."""
    args = parse_args()
    if args.out and not args.out.endswith(('.pkl', '.pickle')):
        raise FishNetError(f'--out must be a file that ends with .pkl, not {args.out}')
    cfg = launch.load_config(args)
    cfg.load_from = args.checkpoint
    if args.eval or args.tta:
        choose_metrics(cfg, args.eval, tta=args.tta)
    launch.check_data(cfg, ['test_dataloader'])
    launch.check_checkpoint(args.checkpoint)

    if args.show or args.show_dir:
        from mmdet.engine.hooks.utils import trigger_visualization_hook

        cfg = trigger_visualization_hook(cfg, args)
    if args.tta:
        use_test_time_augmentation(cfg)
    runner = launch.build_runner(cfg)
    if not args.tta:
        check_fits(runner.model, args.checkpoint)
    if args.out:
        from mmdet.evaluation import DumpDetResults

        runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=args.out))
    runner.test()


def use_test_time_augmentation(cfg):
    """Wraps the model of a config as ``tta_model`` says, or, where there is none, merges an image and its mirror image.

    mmdet merges boxes and refuses masks, so a two-stage detector is tested without its mask branch.
    """
    if cfg.model.get('roi_head'):
        cfg.model.roi_head.update(mask_head=None, mask_roi_extractor=None)
    if predicts_masks(cfg):
        raise FishNetError(f'--tta merges boxes only, and a {cfg.model.type} always predicts masks: test it without --tta')
    test_dataset = cfg.test_dataloader.dataset
    while 'dataset' in test_dataset:
        test_dataset = test_dataset.dataset
    if 'tta_model' not in cfg:
        cfg.tta_model = dict(type='DetTTAModel', tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100))
    if 'tta_pipeline' not in cfg:
        meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')
        flips = [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)]
        cfg.tta_pipeline = deepcopy(test_dataset.pipeline)
        cfg.tta_pipeline[-1] = dict(type='TestTimeAug', transforms=[flips, [dict(type='PackDetInputs', meta_keys=meta_keys)]])
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    test_dataset.pipeline = cfg.tta_pipeline


if __name__ == '__main__':
    launch.run(main)
