"""tools/slurm_train.sh in a job that Slurm starts again. Stand-ins for srun and scontrol print their arguments."""

import pytest
from conftest import REPO


@pytest.fixture
def slurm(tmp_path, command):
    """Runs the script, whose srun ends with a status, and returns what was called."""
    folder = tmp_path / 'bin'
    folder.mkdir()

    def run(status, **env):
        for name, end in (('srun', status), ('scontrol', 0)):
            (folder / name).write_text(f'#!/bin/sh\necho {name} "$@"\nexit {end}\n')
            (folder / name).chmod(0o755)
        env = dict(PATH=f'{folder}:/usr/bin:/bin', **env)
        script = [REPO / 'tools/slurm_train.sh', 'part', 'job', 'config.py', 'work', '--amp']
        return command(*script, status=status, **env).splitlines()

    return run


@pytest.mark.parametrize('count, resumes', [(None, False), ('0', False), ('1', True), ('2', True)])
def test_a_restarted_job_resumes(count, resumes, slurm):
    (line,) = slurm(0, **({} if count is None else dict(SLURM_RESTART_COUNT=count)))
    assert line.endswith('config.py --work-dir work --launcher slurm --amp' + resumes * ' --resume')


def test_the_warning_before_the_time_limit_requeues_the_job(slurm):
    lines = slurm(138, SLURM_JOB_ID='77')
    assert lines[1:] == ['scontrol requeue 77']


@pytest.mark.parametrize('status', [0, 1, 143])
def test_other_ends_do_not(status, slurm):
    assert len(slurm(status, SLURM_JOB_ID='77')) == 1
