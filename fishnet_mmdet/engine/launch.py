"""What the commands in ``tools/`` share: from their arguments to a Runner, with a clear message for what is wrong."""

import logging
import os
import sys
import warnings
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Callable, Iterator, Optional, Sequence

# mmengine's and mmcv's own imports warn of it many times; the set-up pins a setuptools that has it.
warnings.filterwarnings('ignore', message='.*pkg_resources is deprecated.*')

import torch  # noqa: E402
from mmdet.utils import setup_cache_size_limit_of_dynamo  # noqa: E402
from mmengine.config import Config, ConfigDict, DictAction  # noqa: E402
from mmengine.registry import RUNNERS  # noqa: E402
from mmengine.runner import Runner  # noqa: E402

from ..checkpoints import check_pretrained, read_checkpoint  # noqa: E402
from ..environment import check_ops  # noqa: E402
from ..errors import FishNetError  # noqa: E402
from .memory import keep_freed_memory  # noqa: E402

COCO_LAYOUT = """COCO is expected as
    {root}/annotations/instances_train2017.json, instances_val2017.json
    {root}/train2017/*.jpg
    {root}/val2017/*.jpg
from https://cocodataset.org/#download (2017 Train images, 2017 Val images, 2017 Train/Val annotations). Panoptic models need
    {root}/annotations/panoptic_train2017.json, panoptic_val2017.json
    {root}/annotations/panoptic_train2017/*.png, panoptic_val2017/*.png
too (2017 Panoptic Train/Val annotations), and HTC {root}/stuffthingmaps/train2017/*.png (github.com/nightrome/cocostuff).
"""
#: Data sets that check their files themselves, when they are made.
SELF_CHECKING = ('ImageFolder', 'ObjectCrops', 'SmallImages')
ELSEWHERE = 'If it lies elsewhere: --cfg-options data_root=DIR, or set the environment variable MMDET_DATASETS=DIR.'


def run(main: Callable[[], None]) -> None:
    """Runs a command; what is wrong with its arguments, files or environment is printed as one message, with exit status 1."""
    # Also where some library asks torch for less, no pickled code runs on loading a checkpoint.
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'
    if not torch.cuda.is_available():
        keep_freed_memory()
    try:
        main()
    except FishNetError as error:
        if os.environ.get('LOCAL_RANK', '0') == '0':
            # What a dataloader's worker raises arrives with the worker's trace before it.
            print(f'error: {str(error).rpartition("FishNetError: ")[2].strip()}', file=sys.stderr, flush=True)
        sys.exit(1)
    # The work is done and on disk. In the interpreter's own exit, the threads of gloo can outlive what they use and abort.
    if torch.distributed.is_initialized() and torch.distributed.get_backend() == 'gloo':
        torch.distributed.barrier()
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def add_config_options(parser: ArgumentParser) -> None:
    """Adds ``--cfg-options``, as mmdet has it."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='settings that override the config: a.b=1, a.c="[1,2]", a.d=None; data_root=DIR moves all of the data',
    )


def add_common_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments that training and testing share, as mmdet has them."""
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and metrics; default: work_dirs/NAME_OF_CONFIG')
    add_config_options(parser)
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='what started us')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by some launchers')


def read_config(file: str, options: Optional[dict] = None) -> Config:
    """A config file with the settings of ``--cfg-options``, its data where these or MMDET_DATASETS say.

    Raises:
        FishNetError: If the config cannot be read.
    """
    if not Path(file).is_file():
        raise FishNetError(f'there is no config file {file}')
    try:
        cfg = Config.fromfile(file)
    except FishNetError:
        raise
    except Exception as error:  # whatever a file with Python in it can raise
        raise FishNetError(f'the config {file} cannot be read: {type(error).__name__}: {error}') from error
    options = dict(options or {})
    data_root = options.pop('data_root', os.environ.get('MMDET_DATASETS'))
    cfg.merge_from_dict(options)
    if data_root is not None:
        move_data(cfg, data_root)
    return cfg


def load_config(args: Namespace) -> Config:
    """The config that the common arguments describe, its launcher's processes connected where there are no GPUs.

    Raises:
        FishNetError: If the config cannot be read.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(args.config).stem)
    if args.launcher != 'none' and not torch.cuda.is_available():
        _use_gloo(cfg)
    return cfg


def build_runner(cfg: Config) -> Runner:
    """The Runner of a config.

    Raises:
        FishNetError: If mmcv's ops are not compiled.
    """
    check_ops()
    setup_cache_size_limit_of_dynamo()
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def move_data(cfg: Config, data_root: str) -> None:
    """Puts ``data_root`` in the place of the config's own in every path of the config that begins with it.

    Raises:
        FishNetError: If the config has no ``data_root``.
    """
    old = cfg.get('data_root')
    if not old:
        raise FishNetError('this config names no data_root to be moved: set the paths of its dataloaders and evaluators')
    # A root that is a folder ends with a slash in mmdet's configs; one that may be an archive does not.
    new = os.path.expanduser(data_root).rstrip('/') + ('/' if old.endswith('/') else '')

    def moved(value):
        if isinstance(value, dict):
            return type(value)({key: moved(item) for key, item in value.items()})
        if isinstance(value, (list, tuple)):
            return type(value)(moved(item) for item in value)
        if isinstance(value, str) and value.startswith(old):
            return new + value[len(old) :]
        return value

    for key in list(cfg):
        cfg[key] = moved(cfg[key])


def set_epochs(cfg: Config, epochs: int) -> None:
    """Shortens or stretches the schedule of a config: its length, and what its schedulers do after the warm-up.

    Raises:
        FishNetError: If the config does not train by epochs, or ``epochs`` is not positive.
    """
    old = cfg.train_cfg.get('max_epochs')
    if not old or epochs < 1:
        raise FishNetError(
            f'the epochs must be 1 or more, and the config one that trains by epochs (max_epochs), not {epochs}'
        )
    cfg.train_cfg.max_epochs = epochs
    for scheduler in cfg.param_scheduler:
        if scheduler.get('by_epoch', True) and scheduler.get('end') == old:
            scheduler.end = epochs
            if 'T_max' in scheduler:
                scheduler.T_max = epochs - scheduler.get('begin', 0)
            if 'milestones' in scheduler:
                scheduler.milestones = [round(milestone * epochs / old) for milestone in scheduler.milestones]


def use_mixed_precision(cfg: Config) -> None:
    """Lets training compute in float16 on a GPU, in bfloat16 on the CPU."""
    if torch.cuda.is_available():
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    else:
        cfg.optim_wrapper.type = 'fishnet_mmdet.BFloat16OptimWrapper'


def check_data(cfg: Config, dataloaders: Sequence[str]) -> None:
    """Checks that the annotation files and image folders of some dataloaders are there.

    Args:
        cfg (Config): The config.
        dataloaders (Sequence[str]): Their keys in the config.

    Raises:
        FishNetError: If one is not; the message says what is expected where, and how to point elsewhere.
    """
    for key in dataloaders:
        for dataset in _datasets((cfg.get(key) or {}).get('dataset')):
            if str(dataset.get('type')).rpartition('.')[2] in SELF_CHECKING:
                continue
            root = dataset.get('data_root') or ''
            prefixes = dict(dataset.get('data_prefix') or {})
            if not _reads_segmentation_maps(dataset):
                prefixes.pop('seg', None)
            paths = [dataset.get('ann_file'), *prefixes.values()]
            for path in paths:
                path = os.path.join(root, path) if isinstance(path, str) and path else root
                if path and '://' not in path and not os.path.exists(path):
                    layout = COCO_LAYOUT.format(root=root.rstrip('/')) if '2017' in path else ''
                    raise FishNetError(f'the data of {key} is not there: {path}\n{layout}{ELSEWHERE}')


def check_checkpoint(file: str) -> None:
    """Checks that a file is a checkpoint.

    Raises:
        FishNetError: If it is not there, or is not a checkpoint.
    """
    if '://' not in file:
        read_checkpoint(file)


def check_initialisation(cfg: Config) -> None:
    """Checks that the files which the model's ``init_cfg`` loads FishNet's weights from are there.

    Raises:
        FishNetError: If one is not; the message says where to get it and how to train without it.
    """
    for init_cfg in _dicts(cfg.model):
        if init_cfg.get('type') == 'FishNetPretrained':
            check_pretrained(init_cfg['checkpoint'])


def _datasets(dataset: Optional[dict]) -> Iterator[dict]:
    """The data sets inside the wrappers (RepeatDataset, ConcatDataset, MultiImageMixDataset ...)."""
    if not dataset:
        return
    inner = dataset.get('datasets') or [dataset.get('dataset')]
    if inner[0] is None:
        yield dataset
    for one in inner:
        yield from _datasets(one)


def _reads_segmentation_maps(dataset: dict) -> bool:
    # mmdet's configs of instance segmentation that inherit a panoptic one keep its folder, and never read it.
    return 'Panoptic' in str(dataset.get('type')) or any(
        transform.get('with_seg') for transform in _dicts(dataset.get('pipeline'))
    )


def _dicts(value) -> Iterator[dict]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _dicts(item)


def _use_gloo(cfg: Config) -> None:
    """Prepares a distributed run without GPUs: mmengine would ask for one before it starts the processes' group."""
    if cfg.launcher == 'slurm':
        for name, slurm_name in dict(RANK='PROCID', WORLD_SIZE='NTASKS', LOCAL_RANK='LOCALID').items():
            os.environ[name] = os.environ[f'SLURM_{slurm_name}']
        os.environ.setdefault('MASTER_PORT', '29500')
        os.environ.setdefault('MASTER_ADDR', os.environ['SLURM_LAUNCH_NODE_IPADDR'])
    torch.distributed.init_process_group('gloo')
    cfg.model_wrapper_cfg = ConfigDict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
