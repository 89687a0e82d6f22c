"""What is looked at before a run begins: the files that a config names."""

import os
from typing import Iterator, List, Sequence

from mmengine.config import Config

from ..checkpoints import check_pretrained, read_checkpoint
from ..checkpoints.locate import file_before_run, is_first_of_machine
from ..checkpoints.urls import printable
from ..datasets import ClassificationDataset
from ..errors import FishNetError
from ..registry import DATASETS
from .annotations import check_annotations
from .config_tree import datasets_in, dicts_in

COCO_LAYOUT = """COCO is expected as
    {root}/annotations/instances_train2017.json, instances_val2017.json
    {root}/train2017/*.jpg
    {root}/val2017/*.jpg
from https://cocodataset.org/#download (2017 Train images, 2017 Val images, 2017 Train/Val annotations). Panoptic models need
    {root}/annotations/panoptic_train2017.json, panoptic_val2017.json
    {root}/annotations/panoptic_train2017/*.png, panoptic_val2017/*.png
too (2017 Panoptic Train/Val annotations), and HTC {root}/stuffthingmaps/train2017/*.png (github.com/nightrome/cocostuff).
"""
ELSEWHERE = 'If it is elsewhere: --cfg-options data_root=DIR.'
COCO_ELSEWHERE = 'If it is elsewhere: --cfg-options data_root=DIR, or set the environment variable MMDET_DATASETS=DIR.'


def check_data(cfg: Config, dataloaders: Sequence[str], strict: bool = False) -> List[str]:
    """Checks that the annotation files and image folders of dataloaders exist, and the content of COCO's annotation files.

    Of the paths in a remote storage, only COCO's annotation files are looked at.

    Args:
        cfg (Config): The config.
        dataloaders (Sequence[str]): Their keys in the config.
        strict (bool): Whether entries of annotation files that could be skipped are an error.

    Returns:
        list[str]: Notes for the log.

    Raises:
        FishNetError: If a path does not exist; the message says what is expected where, and how to name another place. Or if
            the annotations cannot be used (:func:`.annotations.check_annotations`).
    """
    for key in dataloaders:
        for dataset in datasets_in((cfg.get(key) or {}).get('dataset')):
            if _checks_itself(dataset) or _is_remote(dataset):
                continue
            root = dataset.get('data_root') or ''
            prefixes = dict(dataset.get('data_prefix') or {})
            if not _reads_segmentation_maps(dataset):
                prefixes.pop('seg', None)
            for path in [dataset.get('ann_file'), *prefixes.values()]:
                path = os.path.join(root, path) if isinstance(path, str) and path else root
                if path and '://' not in path and not os.path.exists(path):
                    coco = '2017' in path
                    layout = COCO_LAYOUT.format(root=root.rstrip('/')) if coco else ''
                    hint = COCO_ELSEWHERE if coco else ELSEWHERE
                    raise FishNetError(f'the data of {key} is missing: {path} does not exist\n{layout}{hint}')
    return check_annotations(cfg, dataloaders, strict)


def check_checkpoint(file: str) -> str:
    """Checks that a file is a checkpoint. A URL is downloaded, by the first process of each machine.

    Args:
        file (str): The file, a URL or a name of published weights.

    Returns:
        str: The file on this machine. A Runner should get it in the place of a URL, which it would print with its password.

    Raises:
        FishNetError: If the file does not exist, or is not a checkpoint.
    """
    path = file_before_run(file)
    if is_first_of_machine() or path.is_file():
        read_checkpoint(path)
    return str(path)


def check_initialisation(cfg: Config) -> None:
    """Checks that the files exist from which the model's ``init_cfg`` loads FishNet's weights, and downloads missing ones.

    A URL with a password is replaced by its file.

    Raises:
        FishNetError: If one does not exist; the message says where to get it and how to train without it.
    """
    for init_cfg in dicts_in(cfg.model):
        if init_cfg.get('type') == 'FishNetPretrained':
            check_pretrained(init_cfg['checkpoint'])
            if printable(init_cfg['checkpoint']) != init_cfg['checkpoint']:
                # The Runner prints and saves the config.
                init_cfg['checkpoint'] = str(file_before_run(init_cfg['checkpoint']))


def _checks_itself(dataset: dict) -> bool:
    kind = dataset.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    return isinstance(kind, type) and issubclass(kind, ClassificationDataset)


def _is_remote(dataset: dict) -> bool:
    """Whether files are read through a storage backend other than the local disk (petrel, S3 ...)."""
    return any(backend.get('backend', 'local') != 'local' for backend in _backends(dataset))


def _backends(dataset: dict) -> Iterator[dict]:
    for part in dicts_in(dataset):
        if isinstance(part.get('backend_args'), dict):
            yield part['backend_args']


def _reads_segmentation_maps(dataset: dict) -> bool:
    # mmdet's configs of instance segmentation that inherit a panoptic one keep its folder, and never read it.
    return 'Panoptic' in str(dataset.get('type')) or any(
        transform.get('with_seg') for transform in dicts_in(dataset.get('pipeline'))
    )
