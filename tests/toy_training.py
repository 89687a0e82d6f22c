"""A training of milliseconds, with everything that a resumed run must repeat: dropout, augmentation, momentum, a schedule."""

import random
from contextlib import contextmanager
from unittest import mock
from uuid import uuid4

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import EpochBasedTrainLoop

from fishnet_mmdet.engine.building import build_runner

IMAGES, CLASSES = 11, 3


class ToyImages(BaseDataset):
    """Images that are random numbers: of each library, and of the index."""

    def load_data_list(self):
        return [dict(index=index) for index in range(IMAGES)]

    def prepare_data(self, index):
        index = self.get_data_info(index)['index']
        noise = [random.random(), np.random.rand(), torch.rand(1).item()]
        return dict(inputs=torch.tensor([index / IMAGES, *noise]), label=index % CLASSES)


class ToyModel(BaseModel):
    """A layer behind dropout, with BN."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(4)
        self.layer = torch.nn.Linear(4, CLASSES)

    def forward(self, inputs, label, mode='tensor'):
        x = torch.stack(inputs)
        scores = self.layer(torch.dropout(self.norm(x), 0.5, self.training))
        if mode == 'loss':
            loss = torch.nn.functional.cross_entropy(scores, torch.tensor(label))
            return dict(loss_cls=loss * torch.rand(()))
        return list(scores)


class Score(BaseMetric):
    """A score of the weights: its best one is known by a checkpoint alone."""

    def process(self, data_batch, data_samples):
        self.results += [scores.sum().item() for scores in data_samples]

    def compute_metrics(self, results):
        return dict(accuracy=sum(results))


class OwnLoop(EpochBasedTrainLoop):
    """A loop of a user."""


class At(Hook):
    """Calls a function before an iteration, counted from 1."""

    priority = 'LOWEST'

    def __init__(self, iteration, function, place='before_train_iter'):
        self.iteration, self.function = iteration, function
        setattr(self, place, self._call)

    def _call(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.iteration:
            self.function()


class Killed(BaseException):
    """Stands in for a kill."""


def kill():
    raise Killed


def toy_config(work_dir, workers=0, persistent=False, **settings):
    """The config of a toy training of 3 epochs of 4 iterations."""
    loader = dict(
        batch_size=3,
        num_workers=workers,
        persistent_workers=persistent,
        # Without mmengine's copy of the data in one array, for which it collects all garbage.
        dataset=dict(type='toy_training.ToyImages', serialize_data=False),
        sampler=dict(type='DefaultSampler', shuffle=True),
    )
    config = dict(
        model=dict(type='toy_training.ToyModel'),
        work_dir=str(work_dir),
        # mmengine keeps what a run logs under its name, which is the second in which it begins.
        experiment_name=str(uuid4()),
        train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=3),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=5),
            dict(type='ExponentialLR', gamma=0.5),
        ],
        val_dataloader=dict(
            loader, num_workers=0, persistent_workers=False, sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        val_cfg=dict(),
        val_evaluator=dict(type='toy_training.Score'),
        randomness=dict(seed=3),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, save_best='accuracy', rule='greater')),
        log_level='WARNING',
        resume=True,
    )
    return Config(dict(config, **settings))


def toy_training(work_dir, at=None, **settings):
    """Trains, and returns the runner. ``at``: an iteration and what is called before it."""
    with quick():
        runner = build_runner(toy_config(work_dir, **settings))
        if at:
            runner.register_hook(At(*at))
        runner.train()
        return runner


@contextmanager
def quick():
    """Leaves out what takes mmengine most of the time: asking for compilers, and the layout of the config's text."""
    text = mock.patch('mmengine.config.config.FormatCode', lambda text, **_: (text, True))
    with mock.patch('mmengine.runner.runner.collect_env', dict), text:
        yield


def state_of(runner):
    """Everything that must be equal: weights, optimizer, schedule, and the best score."""
    optimizer = runner.optim_wrapper.optimizer.state_dict()
    return dict(
        weights=runner.model.state_dict(),
        momentum=[state['momentum_buffer'] for state in optimizer['state'].values()],
        rates=[group['lr'] for group in optimizer['param_groups']],
        best=runner.message_hub.get_info('best_score', None),
        iteration=runner.iter,
        losses=runner.message_hub.get_scalar('train/loss').data[0].tolist(),
    )


def log_of(work_dir):
    """The logs of all runs in a folder."""
    return '\n'.join(file.read_text() for file in sorted(work_dir.glob('*/*.log')))
