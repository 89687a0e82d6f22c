"""Table 4 of the report: the networks for small images, trained one after another."""

import time
from typing import Dict

from mmengine.config import Config
from mmengine.hooks import Hook

from ..engine.building import build_runner
from ..engine.checks import check_data

#: Titles of the networks, by the first part of the names of their configs.
NETWORKS = dict(mlp='MLP', cnn='CNN', mobilenet='MobileNet', fishnet55='FishNet-55', fishnet77='FishNet-77')


class EpochTimes(Hook):
    """Measures the training epochs, without validation."""

    def __init__(self) -> None:
        self.seconds = []

    def before_train_epoch(self, runner) -> None:
        """Starts the clock."""
        self.start = time.perf_counter()

    def after_train_epoch(self, runner) -> None:
        """Stops the clock."""
        self.seconds.append(time.perf_counter() - self.start)


def train_and_measure(cfg: Config) -> Dict[str, float]:
    """Trains a classifier and measures what Table 4 lists.

    Args:
        cfg (Config): The config, with its work dir.

    Returns:
        dict[str, float]: 'accuracy' in percent after the last epoch, 'seconds_per_epoch', 'parameters' and 'epochs'.

    Raises:
        FishNetError: If the data is missing.
    """
    check_data(cfg, ['train_dataloader', 'val_dataloader'])
    runner = build_runner(cfg)
    times = EpochTimes()
    runner.register_hook(times, 'LOWEST')
    runner.train()
    return dict(
        accuracy=runner.message_hub.get_scalar('val/accuracy/top1').current(),
        seconds_per_epoch=sum(times.seconds) / len(times.seconds),
        parameters=sum(parameter.numel() for parameter in runner.model.parameters()),
        epochs=cfg.train_cfg.max_epochs,
    )
