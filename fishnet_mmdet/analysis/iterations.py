"""Whole iterations of a config on images of its data set, to be timed."""

from itertools import cycle
from typing import Callable, Iterator

import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..engine.config_tree import walk

#: Batches of the data set that take turns.
BATCHES = 5


def build_model(cfg: Config) -> nn.Module:
    """A model with random weights: no weights are downloaded.

    Frozen BN gets a variance that keeps the activations of random weights bounded.
    """
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    for _, value in list(walk(cfg.model)):
        if isinstance(value, dict) and 'Pretrained' in str(value.get('init_cfg')):
            del value['init_cfg']
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm) and not module.training:
            module.running_var.fill_(1.7)
    return model.to('cuda' if torch.cuda.is_available() else 'cpu')


def training_iteration(cfg: Config, model: nn.Module) -> Callable[[], None]:
    """A step that trains a model on the next batch of its data set, without the loading of images.

    The learning rate is almost zero, so that all steps do the same work.
    """
    cfg.optim_wrapper.optimizer.lr = 1e-8
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    batches = _batches(cfg.train_dataloader)
    return lambda: model.train_step(next(batches), optim_wrapper)


def test_iteration(cfg: Config, model: nn.Module) -> Callable[[], None]:
    """A step that tests a model on the next image of its data set, without the loading of images.

    Random weights find no object, so that the mask head has nothing to do.
    """
    model.eval()
    batches = _batches(cfg.test_dataloader)

    def step() -> None:
        with torch.no_grad():
            model.test_step(next(batches))

    return step


def _batches(dataloader: ConfigDict) -> Iterator[dict]:
    """The first batches of a data loader, again and again."""
    loader = Runner.build_dataloader(dict(dataloader, num_workers=0, persistent_workers=False), seed=0)
    return cycle([batch for batch, _ in zip(loader, range(BATCHES))])
