"""Trains the networks of the report's Table 4 and prints it anew: python tools/compare_small_images.py cifar10"""

import argparse
import json
import time
from pathlib import Path

from mmengine.hooks import Hook

try:
    from fishnet_mmdet.engine import launch
except ValueError as error:  # a FishNetError: the stack does not fit, and its message says what to do
    raise SystemExit(f'error: {error}') from None

CONFIGS = Path(__file__).parents[1] / 'configs/classification'
NETWORKS = dict(mlp='MLP', cnn='CNN', mobilenet='MobileNet', fishnet55='FishNet-55', fishnet77='FishNet-77')
ROW = '| {network} | {accuracy:.2f} | {seconds_per_epoch:.1f} | {parameters:,} |'
HEADER = '| network | accuracy, % | time per epoch, s | parameters |\n|---|---|---|---|'


class EpochTimes(Hook):
    """Measures the training epochs, validation left out."""

    def __init__(self):
        self.seconds = []

    def before_train_epoch(self, runner):
        """Starts the clock."""
        self.start = time.perf_counter()

    def after_train_epoch(self, runner):
        """Stops it."""
        self.seconds.append(time.perf_counter() - self.start)


def train(network: str, args: argparse.Namespace) -> dict:
    """Trains one network and returns its row of the table."""
    config = CONFIGS / f'{network}_{args.data}.py'
    options = {**(args.cfg_options or {}), **({'data_root': args.data_root} if args.data_root else {})}
    cfg = launch.read_config(config, options)
    if args.epochs:
        launch.set_epochs(cfg, args.epochs)
    if args.amp:
        launch.use_mixed_precision(cfg)
    cfg.work_dir = str(args.work_dir / f'{network}_{args.data}')
    launch.check_data(cfg, ['train_dataloader', 'val_dataloader'])
    runner = launch.build_runner(cfg)
    times = EpochTimes()
    runner.register_hook(times, 'LOWEST')
    runner.train()
    return dict(
        network=NETWORKS[network],
        accuracy=runner.message_hub.get_scalar('val/accuracy/top1').current(),
        seconds_per_epoch=sum(times.seconds) / len(times.seconds),
        parameters=sum(parameter.numel() for parameter in runner.model.parameters()),
        epochs=cfg.train_cfg.max_epochs,
    )


def main() -> None:
    """Trains the networks one after another; the table grows as they end."""
    parser = argparse.ArgumentParser(description="Trains the networks of the report's Table 4 and prints the table.")
    parser.add_argument('data', choices=['cifar10', 'cifar100', 'fashion_mnist'], help='which set of small images')
    parser.add_argument('--data-root', metavar='DIR', help="where it lies (default: the config's data/NAME)")
    parser.add_argument('--networks', nargs='+', choices=list(NETWORKS), default=list(NETWORKS), help='default: all')
    parser.add_argument('--epochs', type=int, metavar='N', help="default: the configs'")
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/compare_small_images'), help='default: %(default)s')
    launch.add_config_options(parser)
    args = parser.parse_args()

    rows = []
    for network in args.networks:
        rows.append(train(network, args))
        (args.work_dir / f'{args.data}.json').write_text(json.dumps(rows, indent=1))
        lines = [
            f'| {row["network"]} | {row["accuracy"]:.2f} | {row["seconds_per_epoch"]:.1f} | {row["parameters"]:,} |'
            for row in rows
        ]
        print('\n'.join(['', HEADER, *lines, '']), flush=True)


if __name__ == '__main__':
    launch.run(main)
