"""Configs as commands read and change them: where the data lies, precision, the learning rate."""

import pytest
import torch
from conftest import REPO
from mmengine.config import Config

from fishnet_mmdet.engine.configs import learning_rate_note, move_data, read_config, scale_learning_rate, use_mixed_precision
from fishnet_mmdet.errors import FishNetError


@pytest.fixture
def small():
    return Config.fromfile(REPO / 'configs/classification/fishnet55_cifar10.py')


@pytest.fixture
def imagenet():
    return Config.fromfile(REPO / 'configs/classification/fishnet150_imagenet.py')


def data_roots(cfg):
    return [cfg[f'{split}_dataloader'].dataset.data_root for split in ('train', 'val', 'test')] + [cfg.data_root]


@pytest.mark.parametrize(
    'given, expected',
    [('/some/cifar.npz', '/some/cifar.npz'), ('/some/folder/', '/some/folder'), ('there', 'there')],
)
def test_moved_data_that_may_be_an_archive(small, given, expected):
    move_data(small, given)
    assert data_roots(small) == [expected] * 4
    assert 'data/cifar10' not in small.pretty_text


@pytest.mark.parametrize('given', ['/some/folder/', '/some/folder'])
def test_moved_data_in_a_folder(imagenet, given):
    move_data(imagenet, given)
    assert data_roots(imagenet) == ['/some/folder/'] * 4
    assert imagenet.train_dataloader.dataset.data_prefix.img == 'train/'
    assert 'data/imagenet' not in imagenet.pretty_text


def test_moved_data_at_home(small, monkeypatch):
    monkeypatch.setenv('HOME', '/home/fish')
    move_data(small, '~/cifar.npz')
    assert data_roots(small) == ['/home/fish/cifar.npz'] * 4


def test_options_of_a_command_move_the_data(monkeypatch):
    monkeypatch.setenv('MMDET_DATASETS', '/y')
    for name in ('classification/mlp_cifar10.py', 'classification/fishnet55_cifar100.py'):
        cfg = read_config(REPO / 'configs' / name, {'data_root': '/x.npz', 'train_cfg.max_epochs': 7})
        assert data_roots(cfg) == ['/x.npz'] * 4 and cfg.train_cfg.max_epochs == 7
    cfg = read_config(REPO / 'configs/mask_rcnn_fishnet150_fpn.py', {'data_root': '/x'})
    assert data_roots(cfg) == ['/x/'] * 4


def test_data_without_a_root_cannot_be_moved(small):
    small.pop('data_root')
    with pytest.raises(FishNetError, match='no data_root'):
        move_data(small, '/x')


@pytest.mark.parametrize('cuda, type_', [(False, 'fishnet_mmdet.BFloat16OptimWrapper'), (True, 'AmpOptimWrapper')])
def test_mixed_precision(small, cuda, type_, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    use_mixed_precision(small)
    assert small.optim_wrapper.type == type_
    assert small.optim_wrapper.get('loss_scale') == ('dynamic' if cuda else None)
    assert small.optim_wrapper.optimizer.type == 'SGD'


def test_mmdet_datasets_moves_coco_only(monkeypatch):
    """As in mmdet, the variable is COCO's place; other data stays where its config says."""
    monkeypatch.setenv('MMDET_DATASETS', '/y')
    detector = read_config(REPO / 'configs/mask_rcnn_fishnet150_fpn.py')
    assert data_roots(detector) == ['/y/'] * 4
    assert detector.val_evaluator.ann_file == '/y/annotations/instances_val2017.json'
    for name, root in {
        'classification/mlp_cifar10.py': 'data/cifar10',
        'classification/fishnet150_imagenet.py': 'data/imagenet/',
        'demo/mask_rcnn_fishnet150_nuclei.py': 'demo/nuclei/',
    }.items():
        assert data_roots(read_config(REPO / 'configs' / name)) == [root] * 4


def test_learning_rate_for_another_batch(imagenet):
    detector = Config.fromfile(REPO / 'configs/mask_rcnn_fishnet150_fpn.py')
    note = learning_rate_note(detector, 1)
    assert '0.02' in note and '16 images' in note and 'has 1' in note and '--auto-scale-lr' in note
    assert learning_rate_note(detector, 16) is None
    assert learning_rate_note(imagenet, 8) is None and 'has 64' in learning_rate_note(imagenet, 2)
    scale_learning_rate(detector)
    assert detector.auto_scale_lr.enable and learning_rate_note(detector, 1) is None
    detector.pop('auto_scale_lr')
    assert learning_rate_note(detector, 1) is None
    with pytest.raises(FishNetError, match='base_batch_size'):
        scale_learning_rate(detector)
