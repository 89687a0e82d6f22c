"""From a command's arguments to its config: the length of the schedule, where the data lies, and messages."""

import os

import pytest
import torch
from conftest import REPO
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS
from torch.utils.data import DataLoader, Dataset

from fishnet_mmdet.engine.launch import check_data, move_data, read_config, run, set_epochs, use_mixed_precision
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
    with pytest.raises(FishNetError, match=f'1 or more.*not {epochs}'):
        set_epochs(small, epochs)


def test_epochs_of_a_training_by_iterations_are_refused(small):
    small.train_cfg = dict(type='IterBasedTrainLoop', max_iters=10)
    with pytest.raises(FishNetError, match='max_epochs'):
        set_epochs(small, 3)


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
    file = REPO / 'configs/classification/mlp_cifar10.py'
    assert data_roots(read_config(file, {'data_root': '/x.npz', 'train_cfg.max_epochs': 7})) == ['/x.npz'] * 4
    monkeypatch.setenv('MMDET_DATASETS', '/y.npz')
    assert data_roots(read_config(file)) == ['/y.npz'] * 4
    cfg = read_config(file, {'data_root': '/x.npz', 'train_cfg.max_epochs': 7})
    assert data_roots(cfg) == ['/x.npz'] * 4 and cfg.train_cfg.max_epochs == 7


def test_data_without_a_root_cannot_be_moved(small):
    small.pop('data_root')
    with pytest.raises(FishNetError, match='no data_root'):
        move_data(small, '/x')


def test_sets_that_check_themselves_are_left_to_do_so(small, imagenet):
    for cfg in (small, imagenet):
        move_data(cfg, '/nowhere')
        check_data(cfg, ['train_dataloader', 'val_dataloader'])


def test_segmentation_maps_are_asked_for_only_where_they_are_read(tmp_path):
    (tmp_path / 'images').mkdir()
    (tmp_path / 'instances.json').write_text('{}')
    dataset = dict(
        type='CocoDataset',
        data_root=str(tmp_path),
        ann_file='instances.json',
        data_prefix=dict(img='images/', seg='panoptic/'),
        pipeline=[dict(type='LoadAnnotations', with_bbox=True)],
    )
    check_data(Config(dict(train_dataloader=dict(dataset=dataset))), ['train_dataloader'])

    dataset['pipeline'][0]['with_seg'] = True
    with pytest.raises(FishNetError, match=f'not there: {tmp_path}/panoptic/'):
        check_data(Config(dict(train_dataloader=dict(dataset=dataset))), ['train_dataloader'])
    dataset.update(type='CocoPanopticDataset', pipeline=[dict(type='LoadPanopticAnnotations')])
    with pytest.raises(FishNetError, match=f'not there: {tmp_path}/panoptic/'):
        check_data(Config(dict(train_dataloader=dict(dataset=dataset))), ['train_dataloader'])


@pytest.mark.parametrize('cuda, type_', [(False, 'fishnet_mmdet.BFloat16OptimWrapper'), (True, 'AmpOptimWrapper')])
def test_mixed_precision(small, cuda, type_, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    use_mixed_precision(small)
    assert small.optim_wrapper.type == type_
    assert small.optim_wrapper.get('loss_scale') == ('dynamic' if cuda else None)
    assert small.optim_wrapper.optimizer.type == 'SGD'


class Broken(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        try:
            raise OSError('Input/output error')
        except OSError as error:
            raise FishNetError('the image x.jpg cannot be read:\nreplace it or delete it') from error


@pytest.fixture
def printed(monkeypatch, capfd):
    """Runs a command that must fail, and returns what it printed."""
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')

    def run_(main, rank='0'):
        monkeypatch.setenv('LOCAL_RANK', rank)
        with pytest.raises(SystemExit) as stop:
            run(main)
        assert stop.value.code == 1
        return capfd.readouterr().err

    return run_


@pytest.mark.parametrize('workers', [0, 1])
def test_error_of_a_worker_is_printed_without_its_trace(workers, printed):
    def main():
        batches = iter(DataLoader(Broken(), num_workers=workers))
        try:
            next(batches)
        finally:
            if workers:
                batches._shutdown_workers()

    assert printed(main) == 'error: the image x.jpg cannot be read:\nreplace it or delete it\n'


def test_error_is_printed_by_one_process_of_a_machine(printed):
    def main():
        raise FishNetError('wrong')

    assert printed(main) == 'error: wrong\n'
    assert printed(main, rank='1') == ''


def test_other_errors_keep_their_trace(monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0)


def test_reading_is_safe_while_a_command_runs(monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '0')
    seen = []
    run(lambda: seen.append(os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD']))
    assert seen == ['1']
