from types import SimpleNamespace

import pytest
import torch
from mmdet.datasets import CocoDataset
from mmengine.dataset import ConcatDataset, RepeatDataset
from own_data import content, save

from fishnet_mmdet import CheckFrozenNormHook, FishNet, StopGradClipHook
from fishnet_mmdet.engine.hooks import RecordCategoryIdsHook
from fishnet_mmdet.errors import FishNetError


def runner(epoch=0, clip=None, model=None):
    return SimpleNamespace(epoch=epoch, optim_wrapper=SimpleNamespace(clip_grad_kwargs=clip), model=model)


@pytest.mark.parametrize('epoch, clips', [(0, True), (1, True), (2, False), (30, False)])
def test_clipping_depends_on_the_epoch_alone(epoch, clips):
    """A run that is resumed in epoch 30 clips no more, one resumed in epoch 1 does."""
    hook, run = StopGradClipHook(after_epochs=2), runner(epoch, dict(max_norm=5.0))
    hook.before_train(run)
    hook.before_train_epoch(run)
    assert run.optim_wrapper.clip_grad_kwargs == (dict(max_norm=5.0) if clips else None)


def test_nothing_to_stop_is_said():
    with pytest.raises(FishNetError, match='clip_grad'):
        StopGradClipHook(after_epochs=2).before_train(runner())


def test_frozen_norm_needs_statistics(small_fish):
    model = torch.nn.ModuleDict(dict(backbone=FishNet(arch=small_fish(3))))
    with pytest.raises(FishNetError, match='^backbone has frozen BN and random weights'):
        CheckFrozenNormHook().before_train(runner(model=model))
    model['backbone'].stem.norm1.running_mean += 1
    CheckFrozenNormHook().before_train(runner(model=model))


def test_norm_that_learns_needs_none(small_fish):
    model = FishNet(arch=small_fish(3), norm_cfg=dict(type='BN'), norm_eval=False, frozen_stages=-1)
    CheckFrozenNormHook().before_train(runner(model=torch.nn.Sequential(model)))


@pytest.mark.parametrize('wrap', [lambda one: one, lambda one: RepeatDataset(one, 2), lambda one: ConcatDataset([one, one])])
def test_category_ids_are_saved(tmp_path, wrap):
    save(tmp_path, {'a.json': content(categories=[dict(id=7, name='cat'), dict(id=3, name='dog')])})
    dataset = wrap(
        CocoDataset(ann_file=str(tmp_path / 'a.json'), data_prefix=dict(img=''), metainfo=dict(classes=('cat', 'dog')))
    )
    RecordCategoryIdsHook().before_train(SimpleNamespace(train_dataloader=SimpleNamespace(dataset=dataset)))
    assert dataset.metainfo['category_ids'] == [7, 3]


def test_data_without_category_ids():
    dataset = SimpleNamespace(metainfo=dict(classes=('cat',)))
    RecordCategoryIdsHook().before_train(SimpleNamespace(train_dataloader=SimpleNamespace(dataset=dataset)))
    assert dataset.metainfo == dict(classes=('cat',))
