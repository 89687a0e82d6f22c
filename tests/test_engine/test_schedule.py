"""--epochs: the schedule of a config, stretched or shortened."""

import pytest
import torch
from conftest import REPO
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import PARAM_SCHEDULERS

from fishnet_mmdet.engine.schedule import set_epochs
from fishnet_mmdet.errors import FishNetError


@pytest.fixture
def small():
    return Config.fromfile(REPO / 'configs/classification/fishnet55_cifar10.py')


@pytest.fixture
def imagenet():
    return Config.fromfile(REPO / 'configs/classification/fishnet150_imagenet.py')


def rates(cfg, steps=10):
    """The learning rate at every step, as mmengine's schedulers set it, with so many steps an epoch."""
    lr = cfg.optim_wrapper.optimizer.lr
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    schedulers = []
    for one in map(dict, cfg.param_scheduler):
        scheduler = PARAM_SCHEDULERS.get(one.pop('type'))
        if one.pop('convert_to_iter_based', False):
            schedulers.append(scheduler.build_iter_from_epoch(optimizer, epoch_length=steps, **one))
        else:
            schedulers.append(scheduler(optimizer, **one))
    found = []
    for step in range(cfg.train_cfg.max_epochs * steps):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            if not scheduler.by_epoch or (step + 1) % steps == 0:
                scheduler.step()
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize('epochs', [1, 3, 30, 100])
def test_epochs_of_a_cosine(small, epochs):
    set_epochs(small, epochs)
    warm_up, cosine = small.param_scheduler
    assert small.train_cfg.max_epochs == cosine.end == cosine.T_max == epochs
    assert (warm_up.begin, warm_up.end) == (0, 1)
    found = rates(small)
    assert len(found) == 10 * epochs
    angle = torch.pi * torch.arange(10 * epochs, dtype=torch.float64) / (10 * epochs)
    # After the warm-up of an epoch the rate follows the cosine of the whole, down to nothing.
    torch.testing.assert_close(found[10:], (0.05 * (1 + angle.cos()))[10:])
    assert found[0] == pytest.approx(0.001)
    assert found[-1] < 0.1 * found.max()


@pytest.mark.parametrize('epochs, milestones', [(10, [3, 6, 9]), (50, [15, 30, 45]), (200, [60, 120, 180]), (3, [1, 2, 3])])
def test_epochs_of_steps(imagenet, epochs, milestones):
    set_epochs(imagenet, epochs)
    (scheduler,) = imagenet.param_scheduler
    assert imagenet.train_cfg.max_epochs == scheduler.end == epochs
    assert scheduler.milestones == milestones
    expected = [0.1 * 0.1 ** sum(epoch >= milestone for milestone in milestones) for epoch in range(epochs)]
    torch.testing.assert_close(rates(imagenet, steps=1), torch.tensor(expected, dtype=torch.float64))


def test_epochs_of_a_detector_keep_its_warm_up():
    cfg = Config.fromfile(REPO / 'configs/mask_rcnn_fishnet150_fpn.py')
    before = [dict(scheduler) for scheduler in cfg.param_scheduler]
    set_epochs(cfg, 16)
    assert cfg.train_cfg.max_epochs == 16
    steps = [scheduler for scheduler in cfg.param_scheduler if 'milestones' in scheduler]
    assert [(one.end, one.milestones) for one in steps] == [(16, [10, 14])]
    assert [dict(one) for one in cfg.param_scheduler if 'milestones' not in one] == [
        one for one in before if 'milestones' not in one
    ]


@pytest.mark.parametrize('epochs', [0, -1])
def test_no_epochs_are_refused(small, epochs):
    with pytest.raises(FishNetError, match=f'at least 1, not {epochs}'):
        set_epochs(small, epochs)


def test_epochs_of_a_training_by_iterations_are_refused(small):
    small.train_cfg = dict(type='IterBasedTrainLoop', max_iters=10)
    with pytest.raises(FishNetError, match='max_epochs'):
        set_epochs(small, 3)


@pytest.mark.parametrize('epochs', [150, 30])
def test_epochs_of_rtmdet(epochs):
    """Its cosine begins in the middle, its pipeline changes 20 epochs before the end, and validation becomes denser there."""
    cfg = get_config('mmdet::rtmdet/rtmdet_l_8xb32-300e_coco.py')
    set_epochs(cfg, epochs)
    warm_up, cosine = cfg.param_scheduler
    assert (warm_up.by_epoch, warm_up.end) == (False, 1000)
    assert (cosine.begin, cosine.end, cosine.T_max) == (epochs // 2, epochs, epochs // 2)
    switch = [hook for hook in cfg.custom_hooks if hook.type == 'PipelineSwitchHook']
    assert [hook.switch_epoch for hook in switch] == [280 * epochs // 300]
    assert cfg.train_cfg.dynamic_intervals == [(280 * epochs // 300, 1)] and cfg.train_cfg.max_epochs == epochs


def test_one_epoch_ends_before_the_cosine_of_rtmdet():
    cfg = get_config('mmdet::rtmdet/rtmdet_l_8xb32-300e_coco.py')
    set_epochs(cfg, 1)
    (warm_up,) = cfg.param_scheduler
    assert warm_up.type == 'LinearLR' and warm_up.end == 1000


@pytest.mark.parametrize('epochs', [100, 40])
def test_epochs_of_yolox(epochs):
    """Warm-up of 5 epochs, a cosine that ends before the last 15 of 300, and these at a constant rate without mosaic."""
    cfg = get_config('mmdet::yolox/yolox_s_8xb8-300e_coco.py')
    set_epochs(cfg, epochs)
    warm_up, cosine, constant = cfg.param_scheduler
    last = round(285 * epochs / 300)
    assert (warm_up.begin, warm_up.end) == (0, 5)
    assert (cosine.begin, cosine.end) == (5, last) and cosine.T_max == round(285 * epochs / 300)
    assert (constant.begin, constant.end) == (last, epochs)
    assert [hook.num_last_epochs for hook in cfg.custom_hooks if hook.type == 'YOLOXModeSwitchHook'] == [15 * epochs // 300]
