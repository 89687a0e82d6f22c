"""Signals end training after the present iteration, with a checkpoint of it."""

import multiprocessing
import os
import signal
import time

import pytest
import torch
from toy_training import kill, log_of, state_of, toy_training

from fishnet_mmdet.checkpoints import read_checkpoint


def send(number):
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_ends_training_with_a_checkpoint(number, tmp_path):
    whole = state_of(toy_training(tmp_path / 'whole'))
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as end:
        toy_training(tmp_path / 'ended', at=(7, send(number)))
    assert end.value.code == 128 + number
    assert signal.getsignal(number) == before
    file = tmp_path / 'ended/interrupted.pth'
    assert (tmp_path / 'ended/last_checkpoint').read_text() == str(file)
    assert read_checkpoint(file)['meta']['iter'] == 7
    log = [line for line in log_of(tmp_path / 'ended').splitlines() if signal.Signals(number).name in line]
    assert len(log) == 1 and f'training ends after iteration 7, saved as {file}; --resume continues' in log[0]
    torch.testing.assert_close(state_of(toy_training(tmp_path / 'ended')), whole, rtol=0, atol=0)
    # The checkpoint after the epoch replaced it.
    assert not file.exists()


def test_an_iteration_that_is_saved_is_not_saved_again(tmp_path):
    hook = dict(type='CheckpointHook', interval=2, by_epoch=False)
    with pytest.raises(SystemExit):
        toy_training(tmp_path, at=(6, send(signal.SIGTERM)), default_hooks=dict(checkpoint=hook))
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_6.pth')
    assert not (tmp_path / 'interrupted.pth').exists()


def test_accumulated_gradients_are_used_first(tmp_path):
    settings = dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9), accumulative_counts=3))
    whole = state_of(toy_training(tmp_path / 'whole', **settings))
    with pytest.raises(SystemExit):
        toy_training(tmp_path / 'ended', at=(5, send(signal.SIGTERM)), **settings)
    assert read_checkpoint(tmp_path / 'ended/interrupted.pth')['meta']['iter'] == 6
    torch.testing.assert_close(state_of(toy_training(tmp_path / 'ended', **settings)), whole, rtol=0, atol=0)
    assert 'may differ' not in log_of(tmp_path / 'ended')
    toy_training(tmp_path / 'ended', load_from=str(tmp_path / 'whole/epoch_1.pth'), **settings)
    assert 'does not hold the gradients' in log_of(tmp_path / 'ended')


def test_validation_ends_at_once(tmp_path, monkeypatch):
    """The epoch before is saved, so nothing is lost; the resumed run validates first."""
    monkeypatch.setattr('toy_training.Score.process', lambda *_: send(signal.SIGTERM)())
    with pytest.raises(SystemExit) as end:
        toy_training(tmp_path)
    assert end.value.code == 143
    monkeypatch.undo()
    assert 'after iteration 4, saved as' in log_of(tmp_path)
    toy_training(tmp_path)
    assert (tmp_path / 'epoch_3.pth').exists() and list(tmp_path.glob('best_accuracy_epoch_*.pth'))


def test_without_a_checkpoint_hook(tmp_path):
    with pytest.raises(SystemExit):
        toy_training(tmp_path, at=(2, send(signal.SIGTERM)), default_hooks=dict(checkpoint=None))
    assert 'not saved: the config has no CheckpointHook' in log_of(tmp_path)


@pytest.mark.skipif(not hasattr(signal, 'sigwaitinfo'), reason='this system does not say who sent a signal')
def test_workers_survive_signals_of_others(tmp_path):
    """A terminal and Slurm send the signal to all processes; the workers go on until training ends them."""
    workers = []

    def send_to_all():
        workers.extend(multiprocessing.active_children())
        for process in (*workers, multiprocessing.current_process()):
            # From another process: a worker ends when its parent says so.
            os.system(f'kill -TERM {process.pid}; kill -INT {process.pid}')

    with pytest.raises(SystemExit) as end:
        toy_training(tmp_path, at=(7, send_to_all), workers=2, persistent=True)
    assert end.value.code in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    assert len(workers) == 2 and all(worker.is_alive() for worker in workers)
    for worker in workers:
        worker.terminate()
        worker.join(10)
    assert [worker.exitcode for worker in workers] == [0, 0]


@pytest.fixture
def interruptible():
    """SIGINT has Python's effect: a shell starts jobs in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_signal_has_its_usual_effect(interruptible, tmp_path):
    def twice():
        send(signal.SIGINT)()
        time.sleep(0.3)
        send(signal.SIGINT)()
        # Another thread may get the signal, and this one sees it a little later.
        time.sleep(10)
        kill()

    with pytest.raises(KeyboardInterrupt):
        toy_training(tmp_path, at=(2, twice))
