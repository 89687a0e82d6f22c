"""Training that diverged: it ends at once, and what it leaves is whole."""

from contextlib import contextmanager
from typing import Dict, Iterator, List, Optional

import torch
from mmengine.dist import all_gather_object, all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from ..errors import FishNetError

WHAT_TO_TRY = (
    "Try a lower learning rate{option}, --auto-scale-lr if the batch is not the config's, a longer warm-up, clipped gradients "
    '(optim_wrapper.clip_grad.max_norm=5), or training without --amp. Frozen BN needs pretrained weights'
)


class CheckLossHook(Hook):
    """Ends training in the iteration where a loss is NaN or infinite, in all processes."""

    # Before the hooks that log and save.
    priority = 'VERY_HIGH'

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs: Optional[dict] = None) -> None:
        """Checks the losses of all processes.

        Raises:
            FishNetError: If one is not finite. The message names the iteration and the losses, and says what to try.
        """
        losses = {name: torch.as_tensor(value).float() for name, value in (outputs or {}).items() if 'loss' in name}
        broken = torch.tensor(int(not all(value.isfinite().all() for value in losses.values())))
        # One process alone would leave the others waiting for its gradients.
        all_reduce(broken, 'max')
        if broken:
            every = all_gather_object({name: value.mean().item() for name, value in losses.items()})
            raise FishNetError(message(runner, _shown(every)))


def check_weights(runner: Runner) -> None:
    """Checks that all weights of a model in training are finite.

    Raises:
        FishNetError: If one is not.
    """
    if broken := infinite_weights(runner.model):
        raise FishNetError(message(runner, f'{len(broken)} tensors have NaN or infinite weights, the first is {broken[0]}'))


@contextmanager
def divergence_named(runner: Runner) -> Iterator[None]:
    """Names the divergence, where an iteration fails in another place because its weights are not finite.

    Raises:
        FishNetError: Instead of the other error.
    """
    try:
        yield
    except FishNetError:
        raise
    except Exception as error:  # an assertion in mmdet, an error of SciPy's matching ...
        if _has_infinite_weights(runner.model):
            raise FishNetError(message(runner, f'with NaN weights, {type(error).__name__}: {str(error):.200}')) from error
        raise


def _has_infinite_weights(model: nn.Module) -> bool:
    try:
        return bool(infinite_weights(model))
    except RuntimeError:  # The device itself has failed.
        return False


def infinite_weights(model: nn.Module) -> List[str]:
    """The names of the parameters, and of the statistics of BN, that have NaN or infinite values."""
    model = model.module if is_model_wrapper(model) else model
    tensors = dict(model.named_parameters())
    tensors.update((name, one) for name, one in model.named_buffers() if name.endswith(('running_mean', 'running_var')))
    return [name for name, tensor in tensors.items() if not tensor.isfinite().all()]


def message(runner: Runner, what: str) -> str:
    """The message that training diverged in the present iteration."""
    rate = ((runner.cfg.get('optim_wrapper') or {}).get('optimizer') or {}).get('lr')
    option = f' (--cfg-options optim_wrapper.optimizer.lr={rate / 10:g})' if rate else ''
    kept = f'. The last checkpoint is {runner.last_saved}' if runner.last_saved else ''
    return (
        f'training diverged in epoch {runner.epoch + 1}, iteration {runner.iter + 1}: {what}. '
        f'{WHAT_TO_TRY.format(option=option)}{kept}'
    )


def _shown(every: List[Dict[str, float]]) -> str:
    """The losses of the first process in which one is not finite: 'loss = nan, loss_rpn_cls = nan, loss_bbox = 0.3'."""
    rank, losses = next(
        (rank, losses) for rank, losses in enumerate(every) if not torch.tensor([*losses.values()]).isfinite().all()
    )
    where = f' (process {rank})' if len(every) > 1 else ''
    return ', '.join(f'{name} = {value:g}' for name, value in losses.items()) + where
