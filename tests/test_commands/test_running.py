"""How a command ends: one message, the exit status, and what is left as it was."""

import os

import pytest
from torch.utils.data import DataLoader, Dataset

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

    def run_(main, rank='0'):
        monkeypatch.setenv('LOCAL_RANK', rank)
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


def test_error_is_printed_by_one_process_of_a_machine(printed):
    def main():
        raise FishNetError('wrong')

    assert printed(main) == 'error: wrong\n'
    assert printed(main, rank='1') == ''


def test_other_errors_keep_their_trace(monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    with pytest.raises(ZeroDivisionError):
        run(lambda _: 1 / 0, [])


def test_reading_is_safe_while_a_command_runs(monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '0')
    seen = []
    run(lambda _: seen.append(os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD']), [])
    assert seen == ['1']
