"""How a command runs: one message for what is wrong, no code out of files, and an exit that does not hang."""

import logging
import os
import signal
import sys
import time
from typing import Callable, List, NoReturn

import torch

from ..engine.distributed import lost_connection, ranks
from ..engine.memory import keep_freed_memory
from ..errors import FishNetError

#: How long each further process of a machine waits before it prints its error, in seconds. A wrong config fails in all of
#: them: the first one prints that and ends, and the launcher ends the others meanwhile.
TURN = 2
#: How long a process that lost its connection waits: another one has failed, and prints why.
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
    if not torch.cuda.is_available():
        keep_freed_memory()
    try:
        main(arguments)
    except FishNetError as error:
        # An error in a dataloader's worker arrives as text, with the worker's stack trace before the message.
        fail(str(error).rpartition('FishNetError: ')[2].strip(), TURN * ranks()[1])
    except RuntimeError as error:
        if not lost_connection(error):
            raise
        fail('the connection to another process broke: that process was killed, or its error is above', AFTERMATH)
    if torch.distributed.is_initialized() and torch.distributed.get_backend() == 'gloo':
        torch.distributed.barrier()
        leave(0)


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
    if torch.distributed.is_initialized():
        leave(1)
    sys.exit(1)


def leave(status: int) -> NoReturn:
    """Ends one of several processes at once: in the interpreter's own exit, gloo's threads outlive what they use and abort."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
