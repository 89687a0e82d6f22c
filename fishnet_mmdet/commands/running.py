"""How a command runs: one message for what is wrong, no code out of files, and an exit that does not hang."""

import logging
import os
import signal
import sys
import time
from typing import Callable, List, NoReturn

import torch

from ..checkpoints import read_files_in_mmengine
from ..engine.distributed import lost_connection, ranks
from ..engine.memory import keep_freed_memory
from ..errors import FishNetError

#: Seconds that a process waits before it prints its error. A wrong config fails in all processes: the first one of a machine
#: prints that and ends, and the launcher ends the others meanwhile. They wait one after another, for the same reason.
WAIT, TURN = 3, 1
#: Seconds that a process waits that lost its connection: another one has failed, and prints why.
AFTERMATH = 15


def run(main: Callable[[List[str]], None], arguments: List[str]) -> None:
    """Runs a command. A :class:`FishNetError` is printed as one message, without a stack trace, with exit status 1.

    Among the processes of a launcher, the message begins with the rank.

    Args:
        main (Callable): The command's function, which gets the arguments.
        arguments (list[str]): What follows the name of the command.
    """
    # Some libraries ask torch.load for more than weights. This keeps pickled code from running there too.
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'
    read_files_in_mmengine()
    if not torch.cuda.is_available():
        keep_freed_memory()
    try:
        status = _status_of(main, arguments)
        # Everything is on disk.
        if gloo := torch.distributed.is_initialized() and torch.distributed.get_backend() == 'gloo':
            torch.distributed.barrier()
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except FishNetError as error:
        # An error in a dataloader's worker arrives as text, with the worker's stack trace before the message.
        fail(str(error).rpartition('FishNetError: ')[2].strip(), ranks()[1] and WAIT + TURN * ranks()[1])
    except RuntimeError as error:
        if not lost_connection(error):
            raise
        fail('the connection to another process broke: that process was killed, or its error is above', AFTERMATH)
    if gloo:
        leave(status)
    if status:
        sys.exit(status)


def _status_of(main: Callable[[List[str]], None], arguments: List[str]) -> int:
    """Runs a command, and returns its exit status. A signal that ends training sets one, in all processes."""
    try:
        main(arguments)
    except SystemExit as end:
        if not isinstance(end.code, (int, type(None))):
            raise
        return end.code or 0
    return 0


def fail(message: str, wait: float) -> NoReturn:
    """Prints an error and ends the process with status 1.

    Args:
        message (str): The message.
        wait (float): Seconds in which a launcher may end this process first, because another one has failed.
    """
    if wait:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(wait)
    rank, _, world_size = ranks()
    print(f'error: {f"[rank {rank}] " if world_size > 1 else ""}{message}', file=sys.stderr, flush=True)
    if world_size > 1:
        leave(1)
    sys.exit(1)


def leave(status: int) -> NoReturn:
    """Ends one of several processes at once. The interpreter's own exit takes time, and gloo's threads can abort in it."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
