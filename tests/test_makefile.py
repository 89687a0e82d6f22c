"""The set-up's steps: what is done is not done again, what was interrupted goes on, and a chosen torch stays chosen."""

import os
import shutil
import subprocess

import pytest
from conftest import REPO

STEPS = ('venv', 'torch', 'runtime', 'mmcv', 'package')


@pytest.fixture
def steps(tmp_path):
    """Tells which steps `make setup` would take, in a copy of the repository's set-up where some are done."""
    shutil.copytree(REPO / 'requirements', tmp_path / 'requirements')
    for name in ('Makefile', 'setup.py'):
        shutil.copy(REPO / name, tmp_path)
    done = tmp_path / '.venv/.done'
    done.mkdir(parents=True)

    def run(*arguments, finished):
        for file in done.iterdir():
            file.unlink()
        for i, name in enumerate(STEPS):
            if name in finished:
                (done / name).write_text('torch==2.13.0\n' if name == 'torch' else '')
                os.utime(done / name, (2e9 + i, 2e9 + i))
        # A make around the tests would pass its own arguments on.
        env = {name: value for name, value in os.environ.items() if name not in ('MAKEFLAGS', 'MAKELEVEL', 'TORCH')}
        out = subprocess.run(['make', '-n', 'setup', *arguments], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert out.returncode == 0, out.stderr
        marks = dict(
            venv='-m venv', torch='.venv/.done/torch\n', runtime='requirements/runtime.txt', mmcv='Compiling', package='-e .'
        )
        return [name for name in STEPS if marks[name] in out.stdout]

    return run


def test_a_fresh_clone_takes_every_step(steps):
    assert steps(finished=()) == list(STEPS)


def test_nothing_is_done_twice(steps):
    assert steps(finished=STEPS) == []


@pytest.mark.parametrize('at', range(1, len(STEPS)))
def test_an_interrupted_setup_goes_on(steps, at):
    assert steps(finished=STEPS[:at]) == list(STEPS[at:])


def test_another_torch_is_installed_and_mmcv_compiled_for_it(steps):
    assert steps('TORCH=torch==2.7.1', finished=STEPS) == ['torch', 'runtime', 'mmcv', 'package']
    assert steps('TORCH=torch==2.13.0', finished=STEPS) == []
