"""From which checkpoint a run resumes, and whether it continues exactly."""

import ast
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..checkpoints.reading import read_checkpoint
from ..errors import FishNetError
from .config_tree import type_of, walk
from .loops import EpochLoop, IterationLoop

#: Parts of a config that decide which weights training ends with.
SETTINGS = ('model', 'train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg', 'custom_hooks', 'auto_scale_lr')
#: What has a state that no checkpoint holds.
KEEPS_A_STATE = dict(
    Albu='random numbers of its own',
    BatchSyncRandomResize='the present size of the images',
    CachedMixUp='earlier images',
    CachedMosaic='earlier images',
    DynamicRoIHead='the IoU of earlier iterations',
    EarlyStoppingHook='the best score, and how long ago it was',
)
STATE = ('meta', 'state_dict', 'message_hub')


def newest_whole_checkpoint(work_dir: str) -> Optional[str]:
    """The checkpoint from which an automatic resume continues.

    It is the file that ``last_checkpoint`` names. If there is none, or it was cut off, it is the newest file from which a run
    can resume. Each file that is passed over is named in the log.

    Args:
        work_dir (str): The folder of the run.

    Returns:
        str | None: A file, or a URL that ``last_checkpoint`` names. None if there is nothing to resume from.
    """
    pointer = Path(work_dir, 'last_checkpoint')
    try:
        named = pointer.read_text().strip()
    except (OSError, UnicodeDecodeError):
        named = ''
    if '://' in named:
        return named
    files = sorted(Path(work_dir).glob('*.pth'), key=os.path.getmtime, reverse=True)
    if named:
        files = [Path(named), *(file for file in files if file != Path(named))]
    elif files:
        print_log(f'{pointer} is missing or empty: looking for the newest checkpoint', logger='current')
    for file in files:
        try:
            training_state(str(file))
        except ValueError as error:  # a FishNetError, or a name that no file can have
            print_log(f'passed over: {error}', logger='current')
        else:
            return str(file)
    return None


def training_state(file: str) -> Dict[str, Any]:
    """Reads what a checkpoint says of its run, and checks that a run can resume from it.

    Args:
        file (str): A file.

    Returns:
        dict: Its ``meta``: ``epoch``, ``iter``, ``seed`` ...

    Raises:
        FishNetError: If it cannot be read, or holds no training state.
    """
    checkpoint = read_checkpoint(file)
    meta = checkpoint.get('meta')
    counted = isinstance(meta, dict) and all(type(meta.get(name)) is int and meta[name] >= 0 for name in ('epoch', 'iter'))
    start = f'To start a new training from its weights: --cfg-options load_from={file}'
    if not counted or not all(isinstance(checkpoint.get(name), dict) for name in STATE):
        raise FishNetError(f'{file} has weights only, no training state: --resume cannot continue from it. {start}')
    if not checkpoint.get('optimizer'):
        raise FishNetError(
            f'{file} has no optimizer state, as best_*.pth and files saved with save_optimizer=False: --resume cannot '
            f'continue from it. Take an epoch_*.pth or iter_*.pth of the run. {start}'
        )
    return meta


def facts(runner: Runner) -> Dict[str, Any]:
    """What must be the same for a resumed run to end with the weights of an uninterrupted one, besides the config."""
    return dict(
        processes=runner.world_size,
        images=len(runner.train_dataloader.dataset),
        threads=torch.get_num_threads(),
        PyTorch=str(torch.__version__),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU',
    )


def differences(runner: Runner, meta: Mapping[str, Any]) -> Iterator[str]:
    """What keeps a resumed run from ending with exactly the weights of an uninterrupted one.

    Args:
        runner (Runner): The run that resumes.
        meta (Mapping): The ``meta`` of the checkpoint.
    """
    if not isinstance(meta.get('run'), dict):
        yield 'the checkpoint is not of tools/train.py, or of an older release'
    if not isinstance(runner.train_loop, (EpochLoop, IterationLoop)):
        yield f'{type(runner.train_loop).__name__} draws random numbers that depend on what was drawn before'
    if meta.get('run', {}).get('accumulating'):
        yield 'the checkpoint does not hold the gradients that were accumulated for the next step of the optimizer'
    for name, now in facts(runner).items():
        before = meta.get('run', {}).get(name, now)
        if before != now:
            yield f'{name}: {before} before, {now} now'
    before, now = _parts(meta.get('cfg')), _parts(runner.cfg.pretty_text)
    if changed := [name for name in SETTINGS if before and before.get(name) != now.get(name)]:
        yield f'other settings of {", ".join(changed)}'
    for kind in sorted(set(_kinds(runner.cfg)) & set(KEEPS_A_STATE)):
        yield f'{kind} keeps {KEEPS_A_STATE[kind]}, which a checkpoint does not hold'
    if runner.world_size > 2:
        yield 'with more than 2 processes, DDP may add the gradients of the first iteration in another order'
    if torch.cuda.is_available() and not runner.deterministic:
        yield 'on a GPU, two runs are equal only with randomness.deterministic=True'


def _parts(text: Any) -> Dict[str, str]:
    """The values of the names in the text of a config, which is parsed and not run. Empty if it cannot be parsed."""
    try:
        lines = ast.parse(text).body
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        return {}
    lines = [line for line in lines if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name)]
    return {line.targets[0].id: ast.dump(line.value) for line in lines}


def _kinds(cfg: Config) -> List[str]:
    parts = [cfg.get(name) for name in SETTINGS]
    return [type_of(value)[0] for _, value in walk(parts) if isinstance(value, Mapping) and value.get('type')]
