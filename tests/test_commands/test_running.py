"""How a command ends: one message, the exit status, and what is left as it was."""

import os
import signal
import sys

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from fishnet_mmdet.commands import running
from fishnet_mmdet.commands.running import run
from fishnet_mmdet.errors import FishNetError


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

    def run_(main):
        with pytest.raises(SystemExit) as stop:
            run(lambda _: main(), [])
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


@pytest.fixture
def process(monkeypatch, capfd):
    """Runs a command as one of the processes of a launcher, and returns its output, its status, and how long it waited."""

    def run_(main, rank, local_rank, world_size=4):
        waited = []
        for name, value in dict(RANK=rank, LOCAL_RANK=local_rank, WORLD_SIZE=world_size).items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr(running.time, 'sleep', waited.append)
        monkeypatch.setattr(running.os, '_exit', sys.exit)
        # It closes the log files of other tests too.
        monkeypatch.setattr(running.logging, 'shutdown', lambda: None)
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(SystemExit) as stop:
            run(lambda _: main(), [])
        signal.signal(signal.SIGTERM, before)
        return capfd.readouterr().err, stop.value.code, sum(waited)

    return run_


def wrong():
    raise FishNetError('wrong')


def test_error_of_each_process_is_printed_with_its_rank(process):
    """The first process of a machine prints at once, and the others one by one if the launcher has not ended them by then."""
    waits = []
    for rank, local_rank in ((0, 0), (1, 1), (2, 0), (3, 1)):
        printed, status, waited = process(wrong, rank, local_rank)
        assert printed == f'error: [rank {rank}] wrong\n' and status == 1
        waits.append(waited)
    assert waits[0] == waits[2] == 0 and waits[1] == waits[3] > 0
    assert process(wrong, 2, 2)[2] > waits[1]
    assert process(wrong, 0, 0, world_size=1) == ('error: wrong\n', 1, 0)


def test_lost_connection_is_one_line_after_the_reason(process, monkeypatch):
    def lost():
        raise RuntimeError('[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:41234')

    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: True)
    printed, status, waited = process(lost, 0, 0)
    assert printed.startswith('error: [rank 0] the connection to another process broke') and status == 1
    assert waited > process(wrong, 7, 7, 8)[2]


def test_other_errors_keep_their_trace(monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    with pytest.raises(ZeroDivisionError):
        run(lambda _: 1 / 0, [])


def test_reading_is_safe_while_a_command_runs(monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '0')
    seen = []
    run(lambda _: seen.append(os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD']), [])
    assert seen == ['1']
