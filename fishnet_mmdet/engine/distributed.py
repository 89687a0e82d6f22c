"""Distributed runs without GPUs."""

import os

import torch
from mmengine.config import Config, ConfigDict

from ..errors import FishNetError

#: Where launchers other than torchrun put what torch.distributed reads.
VARIABLES = dict(
    slurm=dict(
        RANK='SLURM_PROCID', WORLD_SIZE='SLURM_NTASKS', LOCAL_RANK='SLURM_LOCALID', MASTER_ADDR='SLURM_LAUNCH_NODE_IPADDR'
    ),
    mpi=dict(RANK='OMPI_COMM_WORLD_RANK', WORLD_SIZE='OMPI_COMM_WORLD_SIZE', LOCAL_RANK='OMPI_COMM_WORLD_LOCAL_RANK'),
    pytorch=dict(RANK='RANK', WORLD_SIZE='WORLD_SIZE', LOCAL_RANK='LOCAL_RANK', MASTER_ADDR='MASTER_ADDR'),
)


def use_gloo(cfg: Config) -> None:
    """Connects the processes of a launcher by gloo, PyTorch's backend for CPUs, and sets the model's wrapper for it.

    mmengine would ask for a GPU before it starts the process group.

    Raises:
        FishNetError: If the launcher did not start this process: its variables are not set.
    """
    for name, source in VARIABLES[cfg.launcher].items():
        if source not in os.environ:
            raise FishNetError(
                f'--launcher {cfg.launcher} needs processes that this launcher started, and {source} is not set: use '
                'tools/dist_train.sh, torchrun, srun or mpirun, or leave --launcher out for a single process'
            )
        os.environ[name] = os.environ[source]
    os.environ.setdefault('MASTER_PORT', '29500')
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    torch.distributed.init_process_group('gloo')
    cfg.model_wrapper_cfg = ConfigDict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
