"""Training that a signal ends: after the present iteration, with a checkpoint of it."""

import os
import signal
import threading
from contextlib import contextmanager
from functools import partial
from typing import Callable, Iterator, Optional

import torch
from mmengine.dist import all_reduce, barrier, is_distributed
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from .checkpoint_hook import CheckpointHook

#: What ends a run: schedulers and torchrun, Ctrl-C, and Slurm's warning before the time limit (``--signal=USR1@120``).
#: Windows has the first two.
SIGNALS = tuple(getattr(signal, name) for name in ('SIGTERM', 'SIGINT', 'SIGUSR1') if hasattr(signal, name))


class InterruptHook(Hook):
    """Ends training after the present iteration when a signal arrives. The exit status is 128 plus the signal's number.

    All processes end after the same iteration, also if only one of them got the signal. With gradient accumulation, training
    goes on to the next step of the optimizer. During validation a single process ends at once, if the iteration is saved
    already.
    """

    # After all hooks that change the state of training or save it.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self.received = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Notes signals instead of dying of them. Without a launcher, a second signal has its usual effect."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Only the main thread may set handlers.
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}

        def note(number: int, _) -> None:
            self.received = number
            # torchrun sends its processes the signal that the terminal has sent them already.
            if not is_distributed():
                signal.signal(number, before[number])

        for number in SIGNALS:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number in SIGNALS:
                signal.signal(number, before[number])

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs: Optional[dict] = None) -> None:
        """Ends training if a process got a signal.

        Raises:
            SystemExit: To end the process.
        """
        number = torch.tensor(self.received)
        all_reduce(number, 'max')
        if number and stepped(runner):
            hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
            if hook and runner.saved_iter != runner.iter + 1:
                hook.save_interrupted(runner)
            barrier()  # The main process writes, and a launcher kills it when another process ends.
            self._end(runner, int(number), runner.iter + 1)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Ends a single process if its iteration is saved.

        Raises:
            SystemExit: To end the process.
        """
        # In validation the weights may be those of EMA, so nothing is saved here. Processes have no iteration to agree on.
        if self.received and not is_distributed() and runner.saved_iter == runner.iter and stepped(runner):
            self._end(runner, self.received, runner.iter)

    @staticmethod
    def _end(runner: Runner, number: int, iteration: int) -> None:
        saved = 'not saved: the config has no CheckpointHook'
        if runner.saved_iter == iteration:
            saved = f'saved as {runner.last_saved}; --resume continues'
        runner.logger.warning(f'{signal.Signals(number).name}: training ends after iteration {iteration}, {saved}')
        runner.visualizer.close()
        raise SystemExit(128 + number)


def stepped(runner: Runner) -> bool:
    """Whether the optimizer made a step in the last iteration, so that no gradients are left to save."""
    wrapper = runner.optim_wrapper
    wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    return all(one.should_update() for one in wrappers)


def keep_workers_alive(loader: DataLoader) -> None:
    """Lets the workers of a data loader survive the signals, which terminals and Slurm send to them too."""
    loader.worker_init_fn = partial(_init_worker, loader.worker_init_fn)


def _init_worker(init: Optional[Callable[[int], None]], worker: int) -> None:
    for number in SIGNALS[1:]:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, 'sigwaitinfo'):  # not on macOS and Windows
        # The training process sends SIGTERM to workers that do not end by themselves, so not every one is ignored.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_end_for_parent, daemon=True).start()
    if init is not None:
        init(worker)


def _end_for_parent() -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)
