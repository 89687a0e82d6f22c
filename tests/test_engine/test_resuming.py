"""From which checkpoint a run resumes, and what is said where it cannot, or not exactly."""

import os
import shutil
import time

import mmengine.runner
import pytest
import torch
from mmengine.config import Config
from toy_training import log_of, toy_config, toy_training

from fishnet_mmdet.checkpoints import read_checkpoint
from fishnet_mmdet.engine.resuming import newest_whole_checkpoint
from fishnet_mmdet.engine.runner import Runner
from fishnet_mmdet.errors import FishNetError


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """The folder of a whole run."""
    folder = tmp_path_factory.mktemp('run')
    toy_training(folder)
    for name in os.listdir(folder):
        # In the order of the epochs.
        if name.startswith('epoch_'):
            os.utime(folder / name, (time.time() - 100 + int(name[6]),) * 2)
    return folder


@pytest.fixture
def work_dir(run, tmp_path):
    """A copy of it, as if it had been moved: last_checkpoint names a file in the new place."""
    work = tmp_path / 'work'
    shutil.copytree(run, work, copy_function=shutil.copy2)
    (work / 'last_checkpoint').write_text(str(work / 'epoch_3.pth'))
    return work


def cut(file, share=0.5):
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])


def changed(file, change):
    checkpoint = read_checkpoint(file)
    change(checkpoint)
    torch.save(checkpoint, file)
    return file


@pytest.mark.parametrize('epochs', [3, 2])
def test_last_checkpoint_names_it(epochs, work_dir):
    (work_dir / 'last_checkpoint').write_text(f'{work_dir}/epoch_{epochs}.pth\n')
    assert newest_whole_checkpoint(str(work_dir)) == str(work_dir / f'epoch_{epochs}.pth')


@pytest.mark.parametrize('share', [0, 0.3, 0.99])
def test_a_cut_file_is_passed_over(share, work_dir, mmengine_log):
    cut(work_dir / 'epoch_3.pth', share)
    assert newest_whole_checkpoint(str(work_dir)) == str(work_dir / 'epoch_2.pth')
    lines = [record.getMessage() for record in mmengine_log.records if 'passed over' in record.getMessage()]
    # The best checkpoint has no optimizer state.
    assert f'passed over: {work_dir}/epoch_3.pth' in lines[0]
    assert all('epoch_3' in line or 'best_' in line for line in lines)


@pytest.mark.parametrize('pointer', ['', 'nowhere/epoch_7.pth', None, '\0', b'\xff'])
def test_a_broken_pointer(pointer, work_dir, mmengine_log):
    if pointer is None:
        (work_dir / 'last_checkpoint').unlink()
    else:
        (work_dir / 'last_checkpoint').write_bytes(pointer if isinstance(pointer, bytes) else pointer.encode())
    for best in work_dir.glob('best_*'):
        best.unlink()
    assert newest_whole_checkpoint(str(work_dir)) == str(work_dir / 'epoch_3.pth')
    assert 'last_checkpoint' in mmengine_log.text or 'passed over' in mmengine_log.text


def test_nothing_to_resume_from(tmp_path):
    assert newest_whole_checkpoint(str(tmp_path)) is None
    assert toy_training(tmp_path, log_level='INFO').iter == 12
    assert 'has no checkpoint to resume from: training begins' in log_of(tmp_path)


def test_code_in_the_config_of_a_checkpoint_does_not_run(work_dir, tmp_path):
    """mmengine's own Runner evaluates it, ours does not, whether the file is named or found."""
    written = tmp_path / 'written'
    code = f'x = open({str(written)!r}, "w").close()\n'
    file = changed(work_dir / 'epoch_2.pth', lambda checkpoint: checkpoint['meta'].update(config=code))
    (work_dir / 'last_checkpoint').write_text(str(file))

    mmengine.runner.Runner.from_cfg(toy_config(work_dir, load_from=str(file))).train()
    assert written.exists()
    written.unlink()
    for load_from in (str(file), None):
        (work_dir / 'last_checkpoint').write_text(str(file))
        assert toy_training(work_dir, load_from=load_from).iter == 12
        assert not written.exists()


@pytest.mark.parametrize(
    'change, text',
    [
        (lambda c: [c.pop(key) for key in [*c] if key != 'state_dict'], 'has weights only, no training state.*load_from='),
        (lambda c: c.pop('meta'), 'has weights only, no training state'),
        (lambda c: c['meta'].update(epoch='2'), 'has weights only, no training state'),
        (lambda c: c['meta'].update(iter=-1), 'has weights only, no training state'),
        (lambda c: c.pop('message_hub'), 'has weights only, no training state'),
        (lambda c: c.pop('optimizer'), 'has no optimizer state.*epoch_'),
        (lambda c: c['state_dict'].pop('layer.weight'), 'does not fit this ToyModel.*layer.weight'),
        (lambda c: c['state_dict'].update({'norm.weight': torch.ones(7)}), r'norm.weight is \(7,\) and should be \(4,\)'),
        (lambda c: c['optimizer']['param_groups'].append({'params': []}), 'does not fit this config.*parameter group'),
        (lambda c: c['message_hub'].clear(), 'does not fit this config'),
        (lambda c: c['meta'].update(run=5), 'does not fit this config'),
        (lambda c: c['meta']['run'].update(batches=0), 'does not fit this config.*ZeroDivisionError'),
    ],
)
def test_a_checkpoint_that_cannot_be_resumed(change, text, work_dir, tmp_path):
    file = changed(work_dir / 'epoch_2.pth', change)
    with pytest.raises(FishNetError, match=text) as error:
        toy_training(tmp_path / 'new', load_from=str(file))
    assert str(error.value).startswith(str(file)) and '\n' not in str(error.value)


def test_a_checkpoint_of_mmengine_is_resumed(tmp_path):
    """In the middle of an epoch too, where mmengine would begin the epoch again."""
    hook = dict(checkpoint=dict(type='CheckpointHook', interval=6, by_epoch=False, save_last=False))
    mmengine.runner.Runner.from_cfg(toy_config(tmp_path, default_hooks=hook)).train()
    runner = toy_training(tmp_path, load_from=str(tmp_path / 'iter_6.pth'))
    assert (runner.epoch, runner.iter) == (3, 12)
    assert 'the checkpoint is not of tools/train.py' in log_of(tmp_path)


def test_an_exact_resume_says_nothing(work_dir):
    toy_training(work_dir, load_from=str(work_dir / 'epoch_1.pth'))
    assert 'may differ' not in log_of(work_dir)


@pytest.mark.parametrize(
    'settings, said',
    [
        (dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.2, momentum=0.9))), 'other settings of optim_wrapper'),
        (dict(train_cfg=dict(type='toy_training.OwnLoop', max_epochs=3)), 'OwnLoop draws random numbers'),
        (dict(workers=1), 'other settings of train_dataloader'),
        (dict(custom_hooks=[dict(type='EarlyStoppingHook', monitor='accuracy', rule='greater')]), 'EarlyStoppingHook keeps'),
    ],
)
def test_an_inexact_resume_says_why(settings, said, work_dir):
    toy_training(work_dir, load_from=str(work_dir / 'epoch_1.pth'), **settings)
    assert log_of(work_dir).count('may differ') == 1 and said in log_of(work_dir)


def test_other_machines(work_dir):
    def change(checkpoint):
        checkpoint['meta']['run'].update(processes=4, images=12, batches=8, position=4)

    file = changed(work_dir / 'epoch_1.pth', change)
    runner = Runner.from_cfg(toy_config(work_dir, load_from=str(file)))
    runner.train()
    assert 'processes: 4 before, 1 now; images: 12 before, 11 now' in log_of(work_dir)
    # Half of the second epoch of 8 batches was done: half of 4 is left, then there is one more epoch.
    assert runner.iter == 4 + 2 + 4


def test_a_user_runner_is_built_as_before(tmp_path):
    from fishnet_mmdet.engine.building import build_runner

    cfg = Config(dict(toy_config(tmp_path), runner_type='Runner', experiment_name='of_a_user'))
    assert type(build_runner(cfg)) is mmengine.runner.Runner
