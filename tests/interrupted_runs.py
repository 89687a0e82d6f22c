"""Trainings that are killed at random moments and resumed, compared bit for bit with uninterrupted ones.

    python tests/interrupted_runs.py --kills 20

Each trial takes a setting of ``SETTINGS``, kills its training once, at a random moment, resumes it, and compares all tensors
of the last checkpoint (weights, optimizer) with those of a training that was not killed. The seed of the moments is printed.
A training is forked from this process, in which everything is imported already.
"""

import argparse
import contextlib
import importlib
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

from fishnet_mmdet.checkpoints import read_checkpoint

os.environ.setdefault('OMP_NUM_THREADS', '1')

import mmengine.config.config
import mmengine.runner.runner
import torch
from conftest import REPO, TINY_CONFIG, TINY_FISH

from fishnet_mmdet.commands import train
from fishnet_mmdet.commands.running import run
from fishnet_mmdet.datasets.shapes import CLASSES, make_shapes

#: Modules that mmengine imports when it builds a Runner.
IMPORTED_LATE = ('mmdet.datasets', 'mmdet.engine', 'mmdet.evaluation', 'mmdet.models', 'mmdet.visualization', 'torch._dynamo')
#: Sizes of the data: the smallest in which an epoch has a middle.
TRAIN_IMAGES, VAL_IMAGES = 6, 1
CLASSIFIER = """
_base_ = {base!r}
data_root = {data_root!r}
model = dict(backbone=dict(_delete_=True, type='FishNet', arch={fish!r}, out_indices=(3,), frozen_stages=-1, norm_eval=False,
                           norm_cfg=dict(type='BN')), cls_head=dict(num_classes={num_classes}))
shapes = dict(data_root=data_root, metainfo=dict(classes={classes!r}), background=None, per_image=None)
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False, dataset=shapes)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=shapes)
test_dataloader = val_dataloader
default_hooks = dict()
{more}
"""
BASES = dict(
    detector='configs/scratch/mask_rcnn_fishnet150_fpn_scratch.py', classifier='configs/demo/classifier_fishnet150_nuclei.py'
)
MORE = """
randomness = dict(seed=7)
train_cfg = dict(max_epochs=2)
train_dataloader.update(num_workers={workers}, persistent_workers={persistent})
default_hooks['checkpoint'] = dict(max_keep_ckpts=1)
"""


class Setting(NamedTuple):
    """How a trial trains: a detector or a classifier, and what is added to its config."""

    task: str
    more: str = ''
    workers: int = 0
    persistent: bool = False
    amp: bool = False
    processes: int = 1


EVERY_2_ITERATIONS = "default_hooks['checkpoint'].update(interval=2, by_epoch=False)\n"
EMA = "custom_hooks = [dict(type='EMAHook')]\n"
BY_ITERATIONS = (
    "default_hooks['checkpoint'].update(interval=4, by_epoch=False)\n"
    "train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=15, val_interval=5)\n"
)
SETTINGS = {
    'detector': Setting('detector'),
    'detector, 2 workers, a checkpoint every 2 iterations': Setting('detector', EVERY_2_ITERATIONS, workers=2),
    'detector, persistent workers, --amp': Setting('detector', workers=2, persistent=True, amp=True),
    'detector, 2 processes, a checkpoint every 2 iterations': Setting('detector', EVERY_2_ITERATIONS, processes=2),
    'classifier, EMA, a checkpoint every 2 iterations': Setting('classifier', EMA + EVERY_2_ITERATIONS),
    'classifier, 2 workers, --amp': Setting('classifier', workers=2, amp=True),
    'classifier, 2 processes, persistent workers': Setting('classifier', workers=1, persistent=True, processes=2),
    'classifier by iterations, 2 workers': Setting('classifier', BY_ITERATIONS, workers=2),
}


def write_data(folder: Path) -> str:
    """Writes the images that all trials train on, and returns their folder as configs name it."""
    make_shapes(folder / 'shapes', num_train=TRAIN_IMAGES, num_val=VAL_IMAGES)
    return f'{folder / "shapes"}/'


def write_config(setting: Setting, data_root: str, file: Path) -> None:
    """Writes the config of a setting."""
    more = MORE.format(workers=setting.workers, persistent=setting.persistent) + setting.more
    values = dict(fish=TINY_FISH, data_root=data_root, num_classes=len(CLASSES), classes=CLASSES, more=more)
    text = dict(detector=TINY_CONFIG, classifier=CLASSIFIER)[setting.task]
    file.write_text(text.format(base=str(REPO / BASES[setting.task]), **values))


def save_time() -> None:
    """Imports what each training would import, and leaves out what takes most of the time of a tiny training."""
    for name in IMPORTED_LATE:
        importlib.import_module(name)
    mmengine.config.config.FormatCode = lambda text, **_: (text, True)
    mmengine.runner.runner.collect_env = dict


class Training:
    """A training in forked processes.

    Args:
        setting (Setting): How to train.
        config (Path): The config file.
        work_dir (Path): The folder of the run. A second training in it continues the first.
    """

    def __init__(self, setting: Setting, config: Path, work_dir: Path) -> None:
        self.arguments = [str(config), '--work-dir', str(work_dir), '--resume', *(['--amp'] if setting.amp else [])]
        self.work_dir = work_dir
        self.log = work_dir.with_suffix('.log')
        self.statuses: Dict[int, int] = {}
        port = free_port()
        self.pids = [self._fork(rank, setting.processes, port) for rank in range(setting.processes)]

    def _fork(self, rank: int, processes: int, port: int) -> int:
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            log = os.open(self.log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.environ.update(LOCAL_RANK=str(rank), RANK=str(rank), WORLD_SIZE=str(processes), MASTER_PORT=str(port))
            os.environ['MASTER_ADDR'] = '127.0.0.1'
            run(train.main, [*self.arguments, *(['--launcher', 'pytorch'] if processes > 1 else [])])
            status = 0
        except SystemExit as end:
            status = end.code
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)

    def wait(self, seconds: Optional[float] = None) -> bool:
        """Waits for the end, or for some time. Returns whether training has ended."""
        until = None if seconds is None else time.monotonic() + seconds
        while until is None or time.monotonic() < until:
            if self._ended():
                return True
            time.sleep(0.005)
        return False

    def _ended(self) -> bool:
        for pid in self.pids:
            if pid not in self.statuses:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    self.statuses[pid] = os.waitstatus_to_exitcode(status)
        return len(self.statuses) == len(self.pids)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Sends a signal to all processes of the training, and waits for their end."""
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        self.wait()

    def finish(self) -> List[int]:
        """Waits for the end, and returns the exit statuses."""
        self.wait()
        return [self.statuses[pid] for pid in self.pids]


def free_port() -> int:
    """A port that nothing uses. That of a training just killed is taken until its workers have noticed its end."""
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


def tensors_of(work_dir: Path) -> dict:
    """The weights and the state of the optimizer in the last checkpoint of a run."""
    checkpoint = read_checkpoint((work_dir / 'last_checkpoint').read_text())
    names = ('state_dict', 'optimizer', 'ema_state_dict')
    tensors = {f'{name}.{key}': one for name in names for key, one in _tensors(checkpoint.get(name, {}))}
    return dict(tensors, iter=torch.tensor(checkpoint['meta']['iter']))


def _tensors(value, path=''):
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _tensors(item, f'{path}.{key}')


def different(one: dict, other: dict) -> List[str]:
    """The names of tensors that are not equal, bit for bit."""
    return [
        name for name in {**one, **other} if name not in one or name not in other or not torch.equal(one[name], other[name])
    ]


def trial(setting: Setting, config: Path, folder: Path, moments: random.Random, reference: dict, seconds: float) -> List[str]:
    """Kills a training once, and resumes it.

    Returns:
        list[str]: The tensors that differ from the uninterrupted training's.
    """
    number = moments.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
    while True:
        moment = moments.uniform(0.4, 1) * seconds  # Before that, the Runner is built, and nothing is saved.
        training = Training(setting, config, folder)
        if not training.wait(moment):
            break
        shutil.rmtree(folder)  # It ended before it could be killed.
    training.kill(number)
    saved = ', '.join(sorted(file.name for file in folder.glob('*.pth'))) or 'nothing'
    print(f'  {signal.Signals(number).name} after {moment:.2f} s of {seconds:.2f} s, left {saved}', end='')
    resumed = Training(setting, config, folder)
    if any(resumed.finish()):
        return [f'exit status {resumed.statuses}: {resumed.log}']
    return different(reference, tensors_of(folder))


def main() -> None:
    """Runs the trials, and prints a table of how many ended equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=20, metavar='N')
    parser.add_argument('--seed', type=int, default=int(time.time()))
    parser.add_argument('--only', default='', metavar='TEXT', help='only settings whose name begins with this text')
    parser.add_argument('--folder', type=Path, help='where to train; default: a temporary folder')
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        print(f'seed {args.seed}')
        save_time()
        moments = random.Random(args.seed)
        data_root = write_data(folder)
        names = [name for name in SETTINGS if name.startswith(args.only)]
        references, equal = {}, 0
        for number in range(args.kills):
            name = names[number % len(names)]
            setting = SETTINGS[name]
            config = folder / f'{list(SETTINGS).index(name)}.py'
            if name not in references:
                write_config(setting, data_root, config)
                begun = time.monotonic()
                whole = Training(setting, config, config.with_suffix(''))
                if any(whole.finish()):
                    sys.exit(f'{name}: {whole.log.read_text()[-3000:]}')
                references[name] = tensors_of(whole.work_dir), time.monotonic() - begun
            print(f'{number + 1} {name}:', end='', flush=True)
            found = trial(setting, config, folder / f'killed{number}', moments, *references[name])
            print(f': {"equal" if not found else "different: " + ", ".join(found[:3])}', flush=True)
            equal += not found
        print(f'{args.kills} kills, {equal} equal')
        sys.exit(equal != args.kills)


if __name__ == '__main__':
    main()
