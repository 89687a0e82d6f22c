"""A whole training iteration of a config on images of its data set, to be timed."""

from typing import Callable

import torch
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from torch.nn.modules.batchnorm import _BatchNorm

from ..engine.config_tree import walk


def training_iteration(cfg: Config) -> Callable[[], None]:
    """Builds a model with random weights, and returns a step that trains it on the first batch of its data set.

    No weights are downloaded. Frozen BN gets a variance that keeps the activations of random weights bounded. The learning
    rate is almost zero, so that all steps do the same work.

    Args:
        cfg (Config): A config whose data set is there.
    """
    register_all_modules()
    for _, value in list(walk(cfg.model)):
        if isinstance(value, dict) and 'Pretrained' in str((value.get('init_cfg') or {}).get('type', '')):
            del value['init_cfg']
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm) and not module.training:
            module.running_var.fill_(1.7)
    cfg.optim_wrapper.optimizer.lr = 1e-8
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    loader = dict(cfg.train_dataloader, num_workers=0, persistent_workers=False)
    batch = next(iter(Runner.build_dataloader(loader, seed=0)))
    return lambda: model.train_step(batch, optim_wrapper)
