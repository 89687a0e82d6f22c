"""The length of a training: a config's schedule, stretched or shortened to a number of epochs."""

from typing import Callable

from mmengine.config import Config

from ..errors import FishNetError

#: Schedulers that raise the learning rate at the start. A warm-up keeps its length.
WARM_UPS = ('LinearLR', 'ConstantLR', 'QuadraticWarmupLR')
#: Settings of schedulers that are points in time, and those that are lengths. All are in epochs if by_epoch is set.
POINTS, LENGTHS = ('begin', 'end'), ('T_max', 'step_size', 'total_steps')
#: The same in mmdet's hooks: an epoch, or a number of epochs at the end.
HOOK_POINTS, HOOK_LENGTHS = ('switch_epoch',), ('num_last_epochs',)


def set_epochs(cfg: Config, epochs: int) -> None:
    """Trains a config for another number of epochs, its whole schedule scaled to them, except the warm-up.

    Besides the schedulers this scales hooks that act in an epoch (those of RTMDet and YOLOX) and changes of the interval of
    validation.

    Raises:
        FishNetError: If the config does not train by epochs, or ``epochs`` is not positive.
    """
    if epochs < 1:
        raise FishNetError(f'--epochs must be at least 1, not {epochs}')
    old = cfg.train_cfg.get('max_epochs')
    if not old:
        raise FishNetError('--epochs needs a config that trains by epochs (train_cfg.max_epochs), and this one does not')
    all_schedulers = cfg.get('param_scheduler') or []
    all_schedulers = [all_schedulers] if isinstance(all_schedulers, dict) else all_schedulers
    schedulers = [scheduler for scheduler in all_schedulers if scheduler.get('by_epoch', True)]
    warm_up = max((one.end for one in schedulers if _is_warm_up(one)), default=0)

    def point(epoch: int) -> int:
        """When what happened after an epoch happens now. The warm-up, and what begins with its end, stays."""
        return epoch if epoch <= warm_up else max(round(epoch * epochs / old), 1)

    def length(number: int) -> int:
        return max(round(number * epochs / old), 1)

    for scheduler in schedulers:
        if not _is_warm_up(scheduler):
            _scale_scheduler(scheduler, point, length)
    if all_schedulers:
        # A short training can end before the last scheduler begins, as a cosine in the second half of one epoch.
        cfg.param_scheduler = [one for one in all_schedulers if one.get('end') is None or one.get('begin', 0) < one['end']]
    for hook in cfg.get('custom_hooks') or []:
        hook.update({name: point(hook[name]) for name in HOOK_POINTS if name in hook})
        hook.update({name: length(hook[name]) for name in HOOK_LENGTHS if name in hook})
    if cfg.train_cfg.get('dynamic_intervals'):
        cfg.train_cfg.dynamic_intervals = [(point(epoch), interval) for epoch, interval in cfg.train_cfg.dynamic_intervals]
    cfg.train_cfg.max_epochs = epochs


def _is_warm_up(scheduler: dict) -> bool:
    return scheduler.type.rpartition('.')[2] in WARM_UPS and scheduler.get('begin', 0) == 0 and 'end' in scheduler


def _scale_scheduler(scheduler: dict, point: Callable[[int], int], length: Callable[[int], int]) -> None:
    begin, end = scheduler.get('begin', 0), scheduler.get('end')
    lengths = {name: scheduler[name] for name in LENGTHS if scheduler.get(name) is not None}
    scheduler.update({name: point(scheduler[name]) for name in POINTS if scheduler.get(name) is not None})
    for name, number in lengths.items():
        # A cosine that lasts from begin to end still does.
        whole = end is not None and number == end - begin
        scheduler[name] = scheduler.end - scheduler.get('begin', 0) if whole else length(number)
    if 'milestones' in scheduler:
        scheduler.milestones = [point(milestone) for milestone in scheduler.milestones]
