"""Starts the processes of dist_train.sh and dist_test.sh with torchrun: launch.py PROCESSES SCRIPT [ARGUMENTS].

torchrun's own stack trace says only that a process has failed. The process has said why, so this says what else is to know:
a process that was killed, a port that is taken, another machine that does not answer.
"""

import logging
import os
import signal
import sys

USAGE = """\
settings from the environment, with their defaults:
    PORT=29500             a free port of the first machine
    MAX_RESTARTS=0         how often all processes are started anew after one has failed; with --resume they continue
    NNODES=1               number of machines; the script is started on each of them, with
    NODE_RANK=0            the number of this machine
    MASTER_ADDR=127.0.0.1  name or address of machine 0
    JOIN_TIMEOUT=900       seconds that a machine waits for the others"""
DEFAULTS = dict(PORT='29500', MAX_RESTARTS='0', NNODES='1', NODE_RANK='0', MASTER_ADDR='127.0.0.1', JOIN_TIMEOUT='900')


def main() -> None:
    """Checks the settings, starts the processes, and ends with the status of the one that failed first."""
    processes, *script = sys.argv[1:]
    if processes == '--help':
        sys.exit(USAGE)
    settings = {name: os.environ.get(name) or default for name, default in DEFAULTS.items()}
    check(processes, settings)
    address, port, node, nodes = (settings[name] for name in ('MASTER_ADDR', 'PORT', 'NODE_RANK', 'NNODES'))
    here = f'machine {node} of {nodes}'
    if node != '0':
        print(f'{here} connects to machine 0 at {address}:{port}, for {settings["JOIN_TIMEOUT"]} s at most', flush=True)
    # What torchrun and its C++ part log of a failure is in the exception too. The processes log as ever.
    logging.disable()
    quiet = 'TORCH_CPP_LOG_LEVEL' not in os.environ
    if quiet:
        os.environ['TORCH_CPP_LOG_LEVEL'] = 'FATAL'
    # Imported after the checks, which answer at once.
    from torch.distributed.elastic.agent.server.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    if quiet:
        del os.environ['TORCH_CPP_LOG_LEVEL']

    try:
        torchrun(
            [
                f'--nnodes={nodes}',
                f'--node_rank={node}',
                f'--master_addr={address}',
                f'--master_port={port}',
                f'--nproc_per_node={processes}',
                f'--max_restarts={settings["MAX_RESTARTS"]}',
                f'--rdzv_conf=timeout={settings["JOIN_TIMEOUT"]}',
                '--monitor_interval=0.5',
                *script,
            ]
        )
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            end(
                f'process {rank} was ended by {signal.Signals(-failure.exitcode).name}; if nobody did that, the machine had '
                'no memory left: use a smaller batch or fewer workers',
                128 - failure.exitcode,
            )
        sys.exit(failure.exitcode)
    except SignalException as error:
        sys.exit(128 + error.sigval)
    except (RuntimeError, TimeoutError) as error:
        if 'EADDRINUSE' in str(error) or 'in use' in str(error):
            end(f'port {port} is taken on this machine: choose another, PORT={int(port) + 1} for one')
        if 'timed out' in str(error).lower() or 'timeout' in str(error).lower():
            end(
                f'{here} waited {settings["JOIN_TIMEOUT"]} s for the others at {address}:{port}: start the script on all '
                'machines with the same NNODES, MASTER_ADDR and PORT, and let no firewall close the port'
            )
        raise


def check(processes: str, settings: dict) -> None:
    """Checks the numbers."""
    for name, text, least in (
        ('GPUS', processes, 1),
        ('PORT', settings['PORT'], 1),
        ('MAX_RESTARTS', settings['MAX_RESTARTS'], 0),
        ('NNODES', settings['NNODES'], 1),
        ('NODE_RANK', settings['NODE_RANK'], 0),
        ('JOIN_TIMEOUT', settings['JOIN_TIMEOUT'], 1),
    ):
        if not text.isdigit() or int(text) < least:
            end(f'{name} must be a whole number of at least {least}, not {text!r}')
    if int(settings['PORT']) > 65535:
        end(f'PORT must be at most 65535, not {settings["PORT"]}')
    if int(settings['NODE_RANK']) >= int(settings['NNODES']):
        end(f'NODE_RANK is {settings["NODE_RANK"]}: NNODES={settings["NNODES"]} machines are numbered from 0')
    if settings['NNODES'] != '1' and 'MASTER_ADDR' not in os.environ:
        end('several machines need MASTER_ADDR, the name or address of machine 0')


def end(message: str, status: int = 1) -> None:
    """Prints an error and ends."""
    print(f'error: {message}', file=sys.stderr)
    sys.exit(status)


if __name__ == '__main__':
    main()
