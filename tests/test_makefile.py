"""The set-up: what is done is not done again, a chosen torch stays chosen, and an old Python is refused."""

import os
import shutil
import subprocess

import pytest
from conftest import REPO
from mmengine.config import Config

READY = '.venv/ready'


@pytest.fixture
def make(tmp_path):
    """Runs make in a copy of the repository's set-up."""
    shutil.copytree(REPO / 'requirements', tmp_path / 'requirements')
    for name in ('Makefile', 'setup.py', 'pyproject.toml'):
        shutil.copy(REPO / name, tmp_path)

    def run(*arguments):
        # A make around the tests would pass its own arguments on.
        env = {name: value for name, value in os.environ.items() if name not in ('MAKEFLAGS', 'MAKELEVEL', 'TORCH', 'PYTHON')}
        return subprocess.run(['make', *arguments], cwd=tmp_path, env=env, capture_output=True, text=True)

    return run


@pytest.fixture
def ready(tmp_path):
    """Marks the set-up as done with some torch."""

    def mark(torch='torch==2.13.0'):
        file = tmp_path / READY
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'{torch}\n')
        os.utime(file, (4e9, 4e9))

    return mark


def steps(make, *arguments):
    """The commands that `make setup` would run."""
    done = make('-n', 'setup', *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fresh_clone_takes_every_step(make):
    text = steps(make)
    order = ['-m venv', "'torch<=", 'runtime.txt', 'dev.txt', 'openmmlab.txt', '-e .\n', f'> {READY}']
    assert sorted(order, key=text.index) == order


def test_nothing_is_done_twice(make, ready):
    ready()
    assert 'pip' not in steps(make)


@pytest.mark.parametrize(
    'file', ['setup.py', 'requirements/runtime.txt', 'requirements/openmmlab.txt', 'requirements/dev.txt']
)
def test_a_change_of_what_is_needed_is_installed(make, ready, tmp_path, file):
    ready()
    os.utime(tmp_path / file, (4e9 + 1, 4e9 + 1))
    assert 'openmmlab.txt' in steps(make)


def test_a_chosen_torch_stays_chosen(make, ready):
    ready('torch==2.7.1')
    assert 'pip' not in steps(make)
    assert 'pip' not in steps(make, 'TORCH=torch==2.7.1')
    assert "'torch==2.9.1'" in steps(make, 'TORCH=torch==2.9.1')


def test_a_torch_with_a_numpy(make):
    assert "'torch==2.2.2' 'numpy<2'" in steps(make, 'TORCH=torch==2.2.2 numpy<2')


def test_the_environment_is_made_anew_unless_it_was_finished(make, ready, tmp_path):
    """With stand-ins for Python and pip: an environment of an interrupted or older set-up is not built upon."""
    log = tmp_path / 'log'
    python = tmp_path / 'python'
    python.write_text(f"""#!/bin/sh
echo "$@" >> {log}
if [ "$2" = venv ]; then mkdir -p .venv/bin && cp {tmp_path}/python .venv/bin/python; fi
""")
    python.chmod(0o755)
    (tmp_path / '.venv').mkdir()
    (tmp_path / '.venv/old').touch()

    done = make('setup', f'PYTHON={python}')
    assert done.returncode == 0, done.stderr
    assert '-m venv --clear .venv' in log.read_text()
    assert log.read_text().count(' install ') == 2
    assert (tmp_path / READY).read_text().startswith('torch<=')

    log.unlink()
    done = make('setup', f'PYTHON={python}', 'TORCH=torch==2.7.1')
    assert done.returncode == 0, done.stderr
    assert 'venv' not in log.read_text() and 'torch==2.7.1' in log.read_text()
    assert (tmp_path / READY).read_text() == 'torch==2.7.1\n'


def test_compiled_modules_are_kept(make, ready, tmp_path, monkeypatch):
    """Also where the environment says otherwise: many commands in a row would compile torch and mmdet each."""
    ready()
    python = tmp_path / '.venv/bin/python'
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nenv > {tmp_path}/environment\n')
    python.chmod(0o755)
    monkeypatch.setenv('PYTHONDONTWRITEBYTECODE', '1')
    assert make('test').returncode == 0
    environment = (tmp_path / 'environment').read_text()
    assert 'OMP_NUM_THREADS=1\n' in environment and 'PYTHONDONTWRITEBYTECODE' not in environment


@pytest.mark.parametrize('code', ['exit 1', None])
def test_a_python_that_is_too_old_or_not_there(make, tmp_path, code):
    python = tmp_path / 'python'
    if code:
        python.write_text(f'#!/bin/sh\n{code}\n')
        python.chmod(0o755)
    done = make('setup', f'PYTHON={python}')
    assert done.returncode != 0
    assert f'The set-up needs Python 3.9 or newer, and {python} is not that.' in done.stdout
    assert not (tmp_path / '.venv').exists()


def test_help_names_every_target(make):
    text = make('help').stdout
    phony = next(line for line in (REPO / 'Makefile').read_text().splitlines() if line.startswith('.PHONY'))
    for target in set(phony.split()[1:]) - {'help', 'FORCE'}:
        assert f'make {target} ' in text


def test_the_demo_hands_its_classifier_over(make):
    """The detector's config names the file that the classifier's training leaves."""
    lines = [line.split() for line in make('-n', 'demo').stdout.splitlines() if 'tools/train.py' in line]
    (_, _, classifier, _, folder, *_), (_, _, detector, *_) = lines
    epochs = Config.fromfile(REPO / classifier).train_cfg.max_epochs
    assert Config.fromfile(REPO / detector).model.backbone.init_cfg.checkpoint == f'{folder}/epoch_{epochs}.pth'


@pytest.mark.parametrize(
    ('vendor', 'flags', 'amp'),
    [
        ('AuthenticAMD', 'avx512f avx512_bf16', True),
        ('AuthenticAMD', 'avx2', False),
        ('GenuineIntel', 'avx512f avx512_bf16', False),
        ('GenuineIntel', 'avx512_bf16 amx_bf16', True),
        (None, None, False),
    ],
)
def test_the_demo_takes_bfloat16_where_it_is_faster(make, tmp_path, vendor, flags, amp):
    cpuinfo = tmp_path / 'cpuinfo'
    if vendor:
        cpuinfo.write_text(f'processor : 0\nvendor_id : {vendor}\nflags : fpu {flags} sse\n' * 2)
    lines = [line for line in make('-n', 'demo', f'CPUINFO={cpuinfo}').stdout.splitlines() if 'tools/train.py' in line]
    assert len(lines) == 2 and all(('--amp' in line) is amp for line in lines)
