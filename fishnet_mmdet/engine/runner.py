"""mmengine's Runner, with runs that a kill, a full disk or a damaged file does not spoil."""

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional, Sequence, Union

import mmengine.hooks
import mmengine.runner
from mmengine.dist import broadcast_object_list, is_main_process, sync_random_seed
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, LOOPS
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop
from torch import nn
from torch.utils.data import DataLoader

from ..checkpoints import check_fits
from ..errors import FishNetError
from .channels_last import compute_channels_last
from .checkpoint_hook import CheckpointHook
from .class_names import check_checkpoint_classes
from .divergence import CheckLossHook, check_weights, infinite_weights
from .hooks import record_category_ids
from .interruption import InterruptHook, keep_workers_alive, stepped
from .loops import EpochLoop, IterationLoop
from .randomness import START, seed_generators
from .resuming import differences, facts, newest_whole_checkpoint, training_state
from .whole_files import part_of, publish

#: mmengine's loops, and ours in their place.
LOOPS_OF_OURS = {EpochBasedTrainLoop: EpochLoop, IterBasedTrainLoop: IterationLoop}
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Runner(mmengine.runner.Runner):
    """A Runner for any config of mmengine. A run that was killed and resumes ends with the weights of one that was not.

    ``classes`` are those of the data set: a run does not resume from a checkpoint of others. ``last_saved`` is the last whole
    checkpoint of the run, and ``saved_iter`` its iteration.
    """

    classes: Optional[Sequence[str]] = None
    last_saved: Optional[str] = None
    saved_iter: Optional[int] = None
    _resumed: Optional[dict] = None

    def set_randomness(self, seed: Optional[int], diff_rank_seed: bool = False, deterministic: bool = False) -> None:
        """Seeds the run. Without a seed it draws one, which the log shows and checkpoints hold."""
        self.base_seed = sync_random_seed() if seed is None else seed
        # A copy, since the dict may be the default argument of the constructor.
        self._randomness_cfg = dict(self._randomness_cfg, seed=self.base_seed)
        super().set_randomness(self.base_seed, diff_rank_seed, deterministic)

    def build_model(self, model: Union[nn.Module, dict]) -> nn.Module:
        """The model of the config, in the layout that is fastest here."""
        return compute_channels_last(super().build_model(model))

    def register_hook(self, hook: Union[Hook, dict], priority=None) -> None:
        """Registers a hook, ours in the place of mmengine's CheckpointHook."""
        if isinstance(hook, dict) and _class_of(HOOKS, hook.get('type')) is mmengine.hooks.CheckpointHook:
            hook = dict(hook, type=CheckpointHook)
        super().register_hook(hook, priority)

    def register_hooks(self, default_hooks: Optional[dict] = None, custom_hooks: Optional[list] = None) -> None:
        """Registers the hooks of the config, and those that every run has."""
        super().register_hooks(default_hooks, custom_hooks)
        self.interruption = InterruptHook()
        self.register_hook(CheckLossHook())
        self.register_hook(self.interruption)

    @staticmethod
    def build_dataloader(
        dataloader: Union[DataLoader, dict], seed: Optional[int] = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """A data loader whose workers do not die of the signals that end training."""
        loader = mmengine.runner.Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        keep_workers_alive(loader)
        return loader

    def build_train_loop(self, loop: Union[BaseLoop, dict]) -> BaseLoop:
        """The loop of the config, ours in the place of mmengine's."""
        if isinstance(loop, dict):
            kind = _class_of(LOOPS, loop['type']) if 'type' in loop else None
            if kind is None and 'by_epoch' in loop:
                kind = EpochBasedTrainLoop if loop['by_epoch'] else IterBasedTrainLoop
            if kind in LOOPS_OF_OURS:
                loop = {name: value for name, value in loop.items() if name != 'by_epoch'}
                loop['type'] = LOOPS_OF_OURS[kind]
            if kind is IterBasedTrainLoop and self._resumed:
                loop['start'] = self._resumed['iter']
        return super().build_train_loop(loop)

    def train(self) -> nn.Module:
        """Trains.

        Raises:
            FishNetError: If the checkpoint to resume from does not fit, training diverges, or the disk is full.
            SystemExit: If a signal ended training.
        """
        with self.interruption.listening(), self._full_disk_named():
            if self._resume:
                self._prepare_resuming()
            # Building the model drew random numbers, and some depend on what a checkpoint replaces.
            seed_generators(self.seed, START)
            return super().train()

    def _prepare_resuming(self) -> None:
        """Chooses the checkpoint, checks it, and takes the seed from it, before the data loader is built with the seed."""
        chosen = [self._load_from]
        if self._load_from is None:
            if is_main_process():
                chosen = [newest_whole_checkpoint(self.work_dir)]
            broadcast_object_list(chosen)
        self._load_from = chosen[0]
        if self._load_from is None:
            self._resume = False
            self.logger.info(f'{self.work_dir} has no checkpoint to resume from: training begins.')
        elif '://' not in self._load_from:
            meta = training_state(self._load_from)
            check_fits(self.model, self._load_from)
            check_checkpoint_classes(self.classes, self._load_from)
            self._resumed = meta
            seed = meta.get('seed')
            if isinstance(seed, int) and seed >= 0 and seed != self.base_seed:
                self.logger.info(f'The seed is {seed}, as in the checkpoint.')
                self.set_randomness(**dict(self._randomness_cfg, seed=seed))

    def resume(self, filename: str, resume_optimizer: bool = True, resume_param_scheduler: bool = True, **kwargs) -> None:
        """Continues from a checkpoint.

        Raises:
            FishNetError: If the state of its optimizer or scheduler does not fit the config.
        """
        # As in the checkpoint: mmengine warns if the two differ.
        record_category_ids(self.train_dataloader.dataset)
        try:
            # On the CPU, because the optimizer moves its state to the device of the weights by itself.
            super().resume(filename, resume_optimizer, resume_param_scheduler, map_location='cpu')
            meta = self._resumed or {}
            if isinstance(self.train_loop, EpochLoop):
                self.train_loop.go_to(_position(self.train_loop, meta))
            why = list(differences(self, meta))
        except FishNetError:
            raise
        except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise FishNetError(
                f'{filename} does not fit this config, whose optimizer, schedule or hooks differ from those of training '
                f'({type(error).__name__}: {str(error):.200}): take the config that training saved in the work dir'
            ) from error
        self.last_saved, self.saved_iter = filename, self.iter
        if why:
            self.logger.warning(
                f'The weights at the end may differ from those of an uninterrupted run. Reasons: {"; ".join(why)}.'
            )

    def load_checkpoint(self, filename: str, map_location='cpu', strict: bool = False, **kwargs) -> dict:
        """Loads weights.

        Raises:
            FishNetError: If a weight is NaN or infinite.
        """
        checkpoint = super().load_checkpoint(filename, map_location, strict, **kwargs)
        # mmengine's resume would evaluate this text as Python. Nothing else reads it.
        if isinstance(checkpoint.get('meta'), dict):
            checkpoint['meta'].pop('config', None)
        if broken := infinite_weights(self.model):
            raise FishNetError(
                f'{filename} has NaN or infinite weights, as after a training that diverged: {len(broken)} tensors, the first '
                f'is {broken[0]}. Take an earlier checkpoint'
            )
        return checkpoint

    def save_checkpoint(self, out_dir: str, filename: str, *args, meta: Optional[dict] = None, **kwargs) -> None:
        """Saves a checkpoint. The file gets its name when all of it is on the disk.

        Raises:
            FishNetError: If a weight is not finite, or the file cannot be written.
        """
        # In all processes, so that none waits for the others.
        check_weights(self)
        meta = dict(meta or {}, run=dict(facts(self), **self._place(meta or {})))
        if '://' in str(out_dir):
            super().save_checkpoint(out_dir, filename, *args, meta=meta, **kwargs)
        else:
            self._save_whole(Path(out_dir, filename), *args, meta=meta, **kwargs)
        if kwargs.get('save_optimizer', True):
            self.last_saved, self.saved_iter = os.path.join(out_dir, filename), meta.get('iter')

    def _save_whole(self, file: Path, *args, **kwargs) -> None:
        part = part_of(file)
        try:
            super().save_checkpoint(str(part.parent), part.name, *args, **kwargs)
            if is_main_process():
                publish(file)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise FishNetError(f'{file} cannot be written: {error.strerror}. {self._what_is_left()}') from error

    def _place(self, meta: dict) -> dict:
        """Where in the epoch a checkpoint is, and whether it is between two steps of the optimizer."""
        loop = self.train_loop
        inside = isinstance(loop, EpochLoop) and meta.get('epoch') == self.epoch and meta.get('iter', 0) > loop.epoch_start
        position = meta['iter'] - loop.epoch_start if inside else 0
        return dict(position=position, batches=len(loop.dataloader), accumulating=not stepped(self))

    @contextmanager
    def _full_disk_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            raise FishNetError(f'{error.filename or self.work_dir}: {error.strerror}. {self._what_is_left()}') from error

    def _what_is_left(self) -> str:
        saved = f'The last whole checkpoint is {self.last_saved}' if self.last_saved else 'No checkpoint was saved yet'
        return f'{saved}. When there is room in {self.work_dir}, --resume continues'


def _position(loop: EpochLoop, meta: dict) -> int:
    """How many batches of its epoch a checkpoint has had; scaled, if an epoch has another number of batches now."""
    run = meta.get('run')
    if not isinstance(run, dict):  # of mmengine
        position = loop.iter - loop.epoch * len(loop.dataloader)
        return position if 0 <= position <= len(loop.dataloader) else 0
    return run['position'] * len(loop.dataloader) // run['batches']


def _class_of(registry, kind: Union[str, type]) -> Optional[type]:
    return registry.get(kind) if isinstance(kind, str) else kind
