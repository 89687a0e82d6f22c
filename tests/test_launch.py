"""tools/launch.py: what the processes of a distributed run end with, and what the user reads then."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import REPO

#: In the place of tools/train.py: notes that it runs, and does what the first argument says.
PROCESS = """
import os, signal, sys, time
rank, world_size = os.environ['RANK'], os.environ['WORLD_SIZE']
with open('processes', 'a') as file:
    file.write(f'{rank}/{world_size} {os.getpid()}\\n')
if rank == '1' and sys.argv[1] == 'fails':
    print('error: [rank 1] the reason', file=sys.stderr, flush=True)
    os._exit(3)
if rank == '1' and sys.argv[1] == 'is killed':
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] != 'ends':
    time.sleep(100)
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """dist_train.sh and launch.py with processes that take no time to start."""
    monkeypatch.setenv('PATH', f'{Path(sys.executable).parent}:{os.environ["PATH"]}')
    for name in ('dist_train.sh', 'launch.py'):
        shutil.copy(REPO / 'tools' / name, tmp_path)
    (tmp_path / 'train.py').write_text(PROCESS)
    return tmp_path / 'dist_train.sh'


@pytest.fixture
def port():
    """A port that is free now."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return str(free.getsockname()[1])


def processes(folder):
    """Ranks and process ids of all processes that ran."""
    file = folder / 'processes'
    lines = file.read_text().splitlines() if file.is_file() else []
    return sorted(line.split()[0] for line in lines), [int(line.split()[1]) for line in lines]


def test_process_that_fails_ends_all_with_its_status(script, command, tmp_path, port):
    """And each of MAX_RESTARTS starts all anew. Its own message is the only one: no stack trace of torchrun's."""
    out = command(script, 'fails', 2, status=3, PORT=port, MAX_RESTARTS='1')
    assert out == 2 * 'error: [rank 1] the reason\n'
    assert processes(tmp_path)[0].count('1/2') == 2


def test_killed_process_ends_the_others_with_one_line(script, command, port):
    out = command(script, 'is killed', 2, status=128 + signal.SIGKILL, PORT=port)
    assert out.startswith('error: process 1 was ended by SIGKILL') and 'memory' in out and len(out.splitlines()) == 1


def test_signal_to_the_script_ends_all_processes(script, tmp_path, port):
    running = subprocess.Popen([script, 'waits', '2'], cwd=tmp_path, env=dict(os.environ, PORT=port), stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while len(processes(tmp_path)[1]) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    running.terminate()
    assert b'Traceback' not in running.communicate(timeout=60)[1]
    assert running.returncode == 128 + signal.SIGTERM
    for pid in processes(tmp_path)[1]:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_machines_with_different_numbers_of_gpus(script, command, tmp_path, port):
    machines = dict(PORT=port, NNODES='2', MASTER_ADDR='127.0.0.1', JOIN_TIMEOUT='60')
    env = dict(os.environ, NODE_RANK='1', **machines)
    second = subprocess.Popen([script, 'ends', '2'], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)
    command(script, 'ends', 1, NODE_RANK='0', **machines)
    out, _ = second.communicate(timeout=60)
    assert second.returncode == 0 and out == f'machine 1 of 2 connects to machine 0 at 127.0.0.1:{port}, for 60 s at most\n'
    assert processes(tmp_path)[0] == ['0/3', '1/3', '2/3']


def test_machine_that_does_not_answer(script, command, port):
    env = dict(PORT=port, NNODES='2', MASTER_ADDR='127.0.0.1', NODE_RANK='1', JOIN_TIMEOUT='2')
    out = command(script, 'ends', 1, status=1, **env)
    assert f'machine 1 of 2 waited 2 s for the others at 127.0.0.1:{port}' in out
    assert out.count('error: ') == 1 and 'Traceback' not in out


def test_taken_port(script, command):
    with socket.socket() as other:
        other.bind(('', 0))
        other.listen()
        port = other.getsockname()[1]
        out = command(script, 'ends', 2, status=1, PORT=str(port))
    assert f'error: port {port} is taken on this machine: choose another, PORT={port + 1}' in out
    assert out.count('error: ') == 1 and 'Traceback' not in out


@pytest.mark.parametrize(
    'processes_, settings, words',
    [
        ('0', {}, ['GPUS', 'at least 1', "'0'"]),
        ('--resume', {}, ['GPUS', "'--resume'"]),
        ('2', dict(PORT='http'), ['PORT', "'http'"]),
        ('2', dict(PORT='70000'), ['PORT', '65535', '70000']),
        ('2', dict(MAX_RESTARTS='-1'), ['MAX_RESTARTS', 'at least 0', "'-1'"]),
        ('2', dict(NNODES='0'), ['NNODES', 'at least 1', "'0'"]),
        ('2', dict(NNODES='2', NODE_RANK='2', MASTER_ADDR='a'), ['NODE_RANK', '2']),
        ('2', dict(NNODES='2'), ['MASTER_ADDR']),
        ('2', dict(JOIN_TIMEOUT='0'), ['JOIN_TIMEOUT', "'0'"]),
    ],
)
def test_wrong_settings(processes_, settings, words, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location('launch', REPO / 'tools/launch.py')
    launch = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(launch)
    for name in launch.DEFAULTS:
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr('sys.argv', ['launch.py', processes_, 'train.py'])
    with pytest.raises(SystemExit) as stop:
        launch.main()
    message = capsys.readouterr().err
    assert stop.value.code == 1 and message.count('error: ') == 1
    for word in words:
        assert word in message
