"""At each moment the work dir has a whole checkpoint."""

import itertools
import os

import pytest
import torch
from mmengine.fileio import LocalBackend
from toy_training import Killed, kill, state_of, toy_training

from fishnet_mmdet.checkpoints import read_checkpoint
from fishnet_mmdet.errors import FishNetError

KEEP_1 = dict(default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1)))


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file() and path.suffix != '.py')


def test_old_checkpoints_go_last(tmp_path, monkeypatch):
    """When a checkpoint is removed, the next one is whole, and last_checkpoint names it."""
    seen, remove = [], LocalBackend.remove

    def removed(self, path):
        last = (tmp_path / 'last_checkpoint').read_text()
        seen.append((os.path.basename(path), os.path.basename(last), read_checkpoint(last)['meta']['epoch']))
        remove(self, path)

    monkeypatch.setattr(LocalBackend, 'remove', removed)
    toy_training(tmp_path, **KEEP_1)
    assert seen == [('epoch_1.pth', 'epoch_2.pth', 2), ('epoch_2.pth', 'epoch_3.pth', 3)]
    assert names(tmp_path) == ['epoch_3.pth', 'last_checkpoint']


def test_the_best_checkpoint_is_replaced_by_a_whole_one(tmp_path, monkeypatch):
    seen, remove = [], LocalBackend.remove

    def removed(self, path):
        whole = [name for name in names(tmp_path) if name.startswith('best') and read_checkpoint(tmp_path / name)]
        seen.append((os.path.basename(path), whole))
        remove(self, path)

    monkeypatch.setattr(LocalBackend, 'remove', removed)
    scores = iter([1.0, 3.0, 2.0])
    monkeypatch.setattr('toy_training.Score.compute_metrics', lambda self, results: dict(accuracy=next(scores)))
    runner = toy_training(tmp_path)
    assert seen == [('best_accuracy_epoch_1.pth', ['best_accuracy_epoch_1.pth', 'best_accuracy_epoch_2.pth'])]
    assert names(tmp_path) == [
        'best_accuracy_epoch_2.pth', 'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth', 'last_checkpoint',
    ]  # fmt: skip
    assert runner.message_hub.get_info('best_ckpt') == str(tmp_path / 'best_accuracy_epoch_2.pth')


def test_several_best_checkpoints(tmp_path, monkeypatch):
    scores = iter([(1, 1), (2, 0), (1, 3)])
    monkeypatch.setattr(
        'toy_training.Score.compute_metrics', lambda self, results: dict(zip(('accuracy', 'loss'), map(float, next(scores))))
    )
    hook = dict(type='CheckpointHook', save_best=['accuracy', 'loss'], rule=['greater', 'less'])
    toy_training(tmp_path, default_hooks=dict(checkpoint=hook))
    best = [name for name in names(tmp_path) if name.startswith('best')]
    assert best == ['best_accuracy_epoch_2.pth', 'best_loss_epoch_2.pth']


@pytest.mark.parametrize('share', [0, 0.5, 1], ids=['nothing', 'half', 'all but the name'])
def test_killed_while_it_writes(share, tmp_path, monkeypatch):
    """The second checkpoint is cut: training resumes from the first, and nothing is left of the second."""
    whole = state_of(toy_training(tmp_path / 'whole', **KEEP_1))
    put = LocalBackend.put

    def cut(self, obj, path):
        if 'epoch_2' not in str(path):
            return put(self, obj, path)
        put(self, obj[: int(share * len(obj))], path)
        kill()

    work = tmp_path / 'killed'
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(LocalBackend, 'put', cut)
        toy_training(work, **KEEP_1)
    assert names(work) == ['.epoch_2.pth.part', 'epoch_1.pth', 'last_checkpoint']
    resumed = state_of(toy_training(work, **KEEP_1))
    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)
    assert names(work) == ['epoch_3.pth', 'last_checkpoint']


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='this system has no /dev/full, on which every write fails')
@pytest.mark.parametrize('name', ['epoch_2.pth', 'best_accuracy_epoch_2.pth', 'last_checkpoint'])
def test_full_disk(name, tmp_path, monkeypatch):
    scores = itertools.count()
    monkeypatch.setattr('toy_training.Score.compute_metrics', lambda self, results: dict(accuracy=float(next(scores))))
    part = tmp_path / f'.{name}.part'
    with pytest.raises(FishNetError, match='No space left on device') as stop:
        toy_training(tmp_path, at=(6, lambda: part.symlink_to('/dev/full')))
    left = 'epoch_1.pth' if name == 'epoch_2.pth' else 'epoch_2.pth'
    assert f'The last whole checkpoint is {tmp_path}/{left}' in str(stop.value)
    assert read_checkpoint(tmp_path / left)['optimizer']
    part.unlink(missing_ok=True)
    assert toy_training(tmp_path, **KEEP_1).iter == 12
