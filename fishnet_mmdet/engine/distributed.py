"""The processes of a launcher: what they find in their environment, and runs without GPUs."""

import os
from typing import Tuple

import torch
from mmengine.config import Config, ConfigDict

from ..errors import FishNetError

#: Where launchers put what torch.distributed reads.
VARIABLES = dict(
    pytorch=dict(RANK='RANK', WORLD_SIZE='WORLD_SIZE', LOCAL_RANK='LOCAL_RANK', MASTER_ADDR='MASTER_ADDR'),
    slurm=dict(
        RANK='SLURM_PROCID', WORLD_SIZE='SLURM_NTASKS', LOCAL_RANK='SLURM_LOCALID', MASTER_ADDR='SLURM_LAUNCH_NODE_IPADDR'
    ),
    mpi=dict(RANK='OMPI_COMM_WORLD_RANK', WORLD_SIZE='OMPI_COMM_WORLD_SIZE', LOCAL_RANK='OMPI_COMM_WORLD_LOCAL_RANK'),
)
#: What an operation of torch.distributed says when another process has ended.
LOST = (
    'Connection closed by peer',
    'Connection reset by peer',
    'Broken pipe',
    'remote process exited',
    'NCCL communicator was aborted',
)


def ranks() -> Tuple[int, int, int]:
    """The rank of this process, its rank on its machine, and the number of processes; (0, 0, 1) without a launcher."""
    for names in VARIABLES.values():
        found = [os.environ.get(names[name], '') for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE')]
        if all(map(str.isdigit, found)):
            rank, local_rank, world_size = map(int, found)
            return rank, local_rank, world_size
    return 0, 0, 1


def check_launcher(launcher: str) -> None:
    """Checks what a launcher tells its processes.

    Raises:
        FishNetError: If the launcher did not start this process (its variables are not set), there is no GPU for it on a
            machine with GPUs, or processes of several machines do not know where the first one is.
    """
    for name, source in VARIABLES[launcher].items():
        value = os.environ.get(source, '')
        if not value or (name != 'MASTER_ADDR' and not value.isdigit()):
            state = f'{value!r}' if value else 'not set'
            raise FishNetError(
                f'--launcher {launcher} needs processes that this launcher started, and {source} is {state}: use '
                'tools/dist_train.sh, torchrun, srun or mpirun, or leave --launcher out for a single process'
            )
    local_rank, gpus = int(os.environ[VARIABLES[launcher]['LOCAL_RANK']]), torch.cuda.device_count()
    if gpus and local_rank >= gpus:
        raise FishNetError(f'process {local_rank} of this machine has no GPU: PyTorch finds {gpus}; start {gpus} processes')
    if launcher == 'mpi' and 'MASTER_ADDR' not in os.environ:
        if os.environ.get('OMPI_COMM_WORLD_LOCAL_SIZE') != os.environ['OMPI_COMM_WORLD_SIZE']:
            raise FishNetError(
                'processes of several machines need to know the first one: mpirun -x MASTER_ADDR=HOST -x MASTER_PORT=29500 ...'
            )
        os.environ['MASTER_ADDR'] = '127.0.0.1'


def use_gloo(cfg: Config) -> None:
    """Connects the processes of a launcher by gloo, PyTorch's backend for CPUs, and sets the model's wrapper for it.

    mmengine would ask for a GPU before it starts the process group.

    Raises:
        FishNetError: If the processes cannot connect.
    """
    for name, source in VARIABLES[cfg.launcher].items():
        os.environ[name] = os.environ[source]
    address, port = os.environ['MASTER_ADDR'], os.environ.setdefault('MASTER_PORT', '29500')
    rank, world_size = os.environ['RANK'], os.environ['WORLD_SIZE']
    try:
        torch.distributed.init_process_group('gloo')
    except (RuntimeError, ValueError) as error:
        hint = (
            f'port {port} is taken: choose another with PORT=N for tools/dist_*.sh, MASTER_PORT=N for srun and mpirun'
            if 'in use' in str(error) or 'EADDRINUSE' in str(error)
            else 'start all processes with the same MASTER_ADDR, MASTER_PORT and number of processes'
        )
        raise FishNetError(
            f'process {rank} of {world_size} cannot connect to {address}:{port} ({str(error).splitlines()[0]}): {hint}'
        ) from error
    cfg.model_wrapper_cfg = ConfigDict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )


def lost_connection(error: RuntimeError) -> bool:
    """Whether an error of torch.distributed only says that another process has ended."""
    return torch.distributed.is_initialized() and any(words in str(error) for words in LOST)
