"""mmengine's training loops, in which a resumed run continues as if it had never ended."""

from typing import Sequence, Union

from mmengine.dist import broadcast, get_rank
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch import nn

from .divergence import divergence_named
from .randomness import EPOCH, MODEL, VALIDATION, seed_generators, seed_loader


class EpochLoop(EpochBasedTrainLoop):
    """Training by epochs, which can begin in the middle of one.

    ``position`` is the number of batches of the present epoch that training has had. The arguments are those of mmengine's
    ``EpochBasedTrainLoop``.
    """

    def __init__(self, runner, dataloader, *args, **kwargs) -> None:
        super().__init__(runner, dataloader, *args, **kwargs)
        self.batches = seed_loader(self.dataloader, runner.base_seed, get_rank())
        self.position = self.epoch_start = 0

    def go_to(self, position: int) -> None:
        """Continues after some batches of the epoch."""
        self.position, self.epoch_start = position, self._iter - position

    def run(self) -> nn.Module:
        """Trains. If the checkpoint is older than the validation that followed it, the validation comes first."""
        self.runner.call_hook('before_train')
        if self._iter and not self.position:
            _validate_if_missed(self)
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            if self._validates():
                _validate(self)
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """Trains for the rest of an epoch."""
        done = self.position
        # The sampler may draw random numbers when the epoch begins.
        seed_generators(self.runner.seed, self.epoch_start, EPOCH)
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        self.batches.start(self.epoch_start, done)
        for idx, data_batch in enumerate(self.dataloader, done):
            self.run_iter(idx, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
        self.go_to(0)

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """One iteration, with random numbers that depend on its number."""
        seed_generators(self.runner.seed, self._iter, MODEL)
        with divergence_named(self.runner):
            super().run_iter(idx, data_batch)

    def _validates(self) -> bool:
        begun = self.runner.val_loop is not None and self._epoch >= self.val_begin
        return begun and (self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs)


class IterationLoop(IterBasedTrainLoop):
    """Training by iterations. A resumed run loads no image twice.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): The loader.
        start (int): Iterations that training has had.
        **kwargs: As for mmengine's ``IterBasedTrainLoop``.
    """

    def __init__(self, runner, dataloader, start: int = 0, **kwargs) -> None:
        # mmengine's loop begins to load at once, so the loader must know by then where to begin.
        if isinstance(dataloader, dict):
            dataloader = runner.build_dataloader(dataloader, runner.seed, runner._randomness_cfg.get('diff_rank_seed', False))
        seed_generators(runner.seed, 0, EPOCH)
        seed_loader(dataloader, runner.base_seed, get_rank(), endless=True).start(0, start)
        super().__init__(runner, dataloader, **kwargs)

    def run(self) -> nn.Module:
        """Trains, from the batch on where the checkpoint was saved."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        if self._iter:
            _validate_if_missed(self)
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            if self._validates():
                _validate(self)
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_iter(self, data_batch: Sequence[dict]) -> None:
        """One iteration, with random numbers that depend on its number."""
        seed_generators(self.runner.seed, self._iter, MODEL)
        with divergence_named(self.runner):
            super().run_iter(data_batch)

    def _validates(self) -> bool:
        begun = self.runner.val_loop is not None and self._iter >= self.val_begin
        return begun and (self._iter % self.val_interval == 0 or self._iter == self._max_iters)


def _validate(loop: Union[EpochLoop, IterationLoop]) -> None:
    seed_generators(loop.runner.seed, loop.iter, VALIDATION)
    # Each process has its own running statistics of BN, and the checkpoint has those of rank 0: all validate with them.
    for buffer in loop.runner.model.buffers():
        broadcast(buffer)
    loop.runner.val_loop.run()


def _validate_if_missed(loop: Union[EpochLoop, IterationLoop]) -> None:
    """Validates if validation was due after the iteration of the checkpoint, and the run ended before or in it."""
    loop._decide_current_val_interval()
    if loop._validates() and loop.runner.message_hub.get_info('evaluated_iter', None) != loop.iter:
        loop.runner.logger.info('The checkpoint is older than the validation that was due: validating first.')
        _validate(loop)
