"""Hooks of the Runner."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..errors import FishNetError
from ..models import FROM_SCRATCH, FishNet


@HOOKS.register_module()
class StopGradClipHook(Hook):
    """Ends gradient clipping after some epochs: the paper clips in the first 2 epochs only (section 4.4).

    The clipping itself is ``optim_wrapper.clip_grad``. It depends on the epoch's number alone, so it is right after
    ``--resume`` too.

    Args:
        after_epochs (int): Number of epochs with clipping.
    """

    def __init__(self, after_epochs: int) -> None:
        self.after_epochs = after_epochs

    def before_train(self, runner: Runner) -> None:
        """Checks that there is a clipping to stop.

        Raises:
            FishNetError: If ``optim_wrapper`` has no ``clip_grad``.
        """
        if not getattr(runner.optim_wrapper, 'clip_grad_kwargs', None):
            raise FishNetError(
                'StopGradClipHook needs a clipping to stop: set optim_wrapper.clip_grad=dict(max_norm=...), or '
                'take the hook out of custom_hooks'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Takes the clipping away once its epochs are over."""
        if runner.epoch >= self.after_epochs:
            runner.optim_wrapper.clip_grad_kwargs = None


@HOOKS.register_module()
class CheckFixedNormHook(Hook):
    """Stops a training that would diverge: fixed BN on a FishNet that was never trained."""

    # After the checkpoint of load_from or --resume was loaded, which may bring the statistics.
    def before_train(self, runner: Runner) -> None:
        """Looks at the statistics that training will start with.

        Raises:
            FishNetError: If a FishNet of the model has fixed BN with the statistics of a network that was never trained.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for name, module in model.named_modules():
            if isinstance(module, FishNet) and module.has_untrained_fixed_norm():
                raise FishNetError(
                    f'{name} is a FishNet with fixed BN and no pretrained weights, which diverges to NaN within a few steps: '
                    f"give it pretrained weights, init_cfg=dict(type='FishNetPretrained', checkpoint=FILE), or {FROM_SCRATCH}"
                )
