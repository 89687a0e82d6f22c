"""How a command runs: one message for what is wrong, no code out of files, and an exit that does not hang."""

import logging
import os
import signal
import sys
from typing import Callable, List

import torch

from ..engine.memory import keep_freed_memory
from ..errors import FishNetError


def run(main: Callable[[List[str]], None], arguments: List[str]) -> None:
    """Runs a command. A :class:`FishNetError` is printed as one message, without a stack trace, with exit status 1.

    Args:
        main (Callable): The command's function, which gets the arguments.
        arguments (list[str]): What follows the name of the command.
    """
    # Some libraries ask torch.load for more than weights. This keeps pickled code from running there too.
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'
    if not torch.cuda.is_available():
        keep_freed_memory()
    status = 0
    try:
        main(arguments)
    except SystemExit as end:  # A signal ended training, in all processes; or argparse.
        if not isinstance(end.code, int):
            raise
        status = end.code
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except FishNetError as error:
        if os.environ.get('LOCAL_RANK', '0') == '0':
            # An error in a dataloader's worker arrives as text, with the worker's stack trace before the message.
            print(f'error: {str(error).rpartition("FishNetError: ")[2].strip()}', file=sys.stderr, flush=True)
        sys.exit(1)
    # Everything is on disk. In the interpreter's own exit, gloo's threads can outlive what they use, and abort the process.
    if torch.distributed.is_initialized() and torch.distributed.get_backend() == 'gloo':
        torch.distributed.barrier()
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    if status:
        sys.exit(status)
