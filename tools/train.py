"""Trains a model: python tools/train.py configs/mask_rcnn_fishnet150_fpn.py"""

import argparse

try:
    from fishnet_mmdet.engine import launch
except ValueError as error:  # a FishNetError: the stack does not fit, and its message says what to do
    raise SystemExit(f'error: {error}') from None
from fishnet_mmdet.errors import FishNetError


def parse_args():
    """The arguments, as mmdet's."""
    parser = argparse.ArgumentParser(description='Train a model')
    parser.add_argument('config', help='config file')
    launch.add_common_arguments(parser)
    parser.add_argument('--epochs', type=int, metavar='N', help="train for N epochs, the config's schedule scaled to them")
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision: float16 on a GPU, bfloat16 on the CPU')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate from auto_scale_lr.base_batch_size to this run's batch size",
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint; without a file, from the latest one in the work dir',
    )
    return parser.parse_args()


def main():
    """Config, checks, training."""
    args = parse_args()
    cfg = launch.load_config(args)
    if args.epochs is not None:
        launch.set_epochs(cfg, args.epochs)
    if args.amp:
        launch.use_mixed_precision(cfg)
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise FishNetError(f'--auto-scale-lr needs auto_scale_lr.base_batch_size, which {args.config} does not set')
        cfg.auto_scale_lr.enable = True
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume

    launch.check_data(cfg, ['train_dataloader', 'val_dataloader'])
    launch.check_initialisation(cfg)
    if cfg.get('load_from'):
        launch.check_checkpoint(cfg.load_from)
    launch.build_runner(cfg).train()


if __name__ == '__main__':
    launch.run(main)
