"""What the processes of a launcher find in their environment, and how they connect without GPUs."""

import socket

import pytest
import torch
from mmengine.config import Config

from fishnet_mmdet.engine.distributed import VARIABLES, check_launcher, ranks, use_gloo
from fishnet_mmdet.errors import FishNetError

NAMES = {name for names in VARIABLES.values() for name in names.values()}
#: Variables of one process, as each launcher sets them.
SET = dict(
    pytorch=dict(RANK='0', WORLD_SIZE='1', LOCAL_RANK='0', MASTER_ADDR='127.0.0.1'),
    slurm=dict(SLURM_PROCID='0', SLURM_NTASKS='1', SLURM_LOCALID='0', SLURM_LAUNCH_NODE_IPADDR='127.0.0.1'),
    mpi=dict(
        OMPI_COMM_WORLD_RANK='0', OMPI_COMM_WORLD_SIZE='1', OMPI_COMM_WORLD_LOCAL_RANK='0', OMPI_COMM_WORLD_LOCAL_SIZE='1'
    ),
)


@pytest.fixture
def environment(monkeypatch):
    """Sets the variables of a launcher, and a port that is free now."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    for name in (*NAMES, 'OMPI_COMM_WORLD_LOCAL_SIZE'):
        # Set first, so that what the code itself sets is removed after the test.
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)

    def set_(launcher, **changes):
        for name, value in {**SET[launcher], 'MASTER_PORT': port, **changes}.items():
            monkeypatch.setenv(name, value)

    yield set_
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize('launcher', SET)
def test_processes_connect(launcher, environment):
    environment(launcher)
    cfg = Config(dict(launcher=launcher))
    check_launcher(launcher)
    use_gloo(cfg)
    assert torch.distributed.get_world_size() == 1 and torch.distributed.get_rank() == 0
    assert cfg.model_wrapper_cfg.type == 'MMDistributedDataParallel'


@pytest.mark.parametrize('launcher', SET)
@pytest.mark.parametrize('value', ['', 'first', '-1'])
def test_process_of_no_launcher(launcher, value, environment):
    for name in VARIABLES[launcher].values():
        if name == 'MASTER_ADDR' or 'ADDR' in name and value:
            continue
        environment(launcher, **{name: value})
        with pytest.raises(FishNetError, match=f'--launcher {launcher} needs processes .*{name} is .*dist_train.sh'):
            check_launcher(launcher)


def test_rank_is_known_before_the_launcher(environment):
    assert ranks() == (0, 0, 1)
    environment('slurm', SLURM_PROCID='5', SLURM_LOCALID='1', SLURM_NTASKS='8')
    assert ranks() == (5, 1, 8)
    environment('mpi', SLURM_PROCID='', OMPI_COMM_WORLD_RANK='3', OMPI_COMM_WORLD_SIZE='4', OMPI_COMM_WORLD_LOCAL_RANK='3')
    assert ranks() == (3, 3, 4)


def test_more_processes_than_gpus(environment, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    environment('pytorch', LOCAL_RANK='1')
    check_launcher('pytorch')
    environment('pytorch', LOCAL_RANK='2')
    with pytest.raises(FishNetError, match='process 2 of this machine has no GPU: PyTorch finds 2'):
        check_launcher('pytorch')


def test_mpi_on_several_machines(environment, monkeypatch):
    environment('mpi', OMPI_COMM_WORLD_SIZE='4', OMPI_COMM_WORLD_LOCAL_SIZE='2')
    with pytest.raises(FishNetError, match='MASTER_ADDR=HOST'):
        check_launcher('mpi')
    monkeypatch.setenv('MASTER_ADDR', 'first')
    check_launcher('mpi')


def test_taken_port(environment):
    with socket.socket() as other:
        other.bind(('', 0))
        other.listen()
        port = str(other.getsockname()[1])
        environment('pytorch', MASTER_PORT=port)
        with pytest.raises(FishNetError, match=f'process 0 of 1 cannot connect to 127.0.0.1:{port} .*choose another'):
            use_gloo(Config(dict(launcher='pytorch')))
