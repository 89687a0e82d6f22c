"""A folder of class folders as the data of a classifier."""

import os
from pathlib import Path
from typing import List, Tuple

from mmengine.config import Config

from ..datasets.folder_index import IMAGE_SUFFIXES, class_folders
from ..errors import FishNetError
from .layouts import PARTS
from .splitting import choose

LAYOUTS = """--data takes one folder of images per class for a classifier:
    {root}/train/CLASS/*.jpg and {root}/val/CLASS/*.jpg
or, without a validation part, of which 10 % are then set aside,
    {root}/CLASS/*.jpg"""


def use_class_folders(cfg: Config, root: Path, folder: Path) -> str:
    """Sets data sets and the number of classes of a classifier's config, in place.

    Args:
        cfg (Config): The config; its data sets are of type ``ImageFolder``.
        root (Path): The folder of the data.
        folder (Path): The folder for the split, if the data has no validation part: links to the images.

    Returns:
        str: What was found.

    Raises:
        FishNetError: If the config reads other data, or the folder has another layout.
    """
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        kind = cfg[key].dataset.type
        if kind not in ('ImageFolder', 'fishnet_mmdet.ImageFolder'):
            raise FishNetError(
                f'--data gives a classifier a folder of images, and {cfg.filename} reads {kind}: use a config for images in '
                'folders, such as configs/classification/fishnet150_imagenet.py'
            )
    train, val, note = _train_and_val(root, folder)
    classes = {part: [os.fsdecode(name) for name in class_folders(path)] for part, path in (('train', train), ('val', val))}
    if classes['train'] != classes['val']:
        only = sorted(set(classes['train']) ^ set(classes['val']))
        raise FishNetError(
            f'{train} and {val} must have the same class folders, and {", ".join(only[:5])} is in one of them only'
        )
    number = len(classes['train'])
    cfg.data_root = f'{train.parent}/'
    for key, path in (('train_dataloader', train), ('val_dataloader', val), ('test_dataloader', val)):
        cfg[key].dataset.update(data_root=cfg.data_root, data_prefix=dict(img=f'{path.name}/'), num_classes=number)
        if 'same_classes_as' in cfg[key].dataset:
            cfg[key].dataset.same_classes_as = f'{train.name}/'
    cfg.model.cls_head.num_classes = number
    counts = {path: sum(len(_images(path / name)) for name in classes['train']) for path in (train, val)}
    found = f'{root}: {number} classes, {counts[train]} training and {counts[val]} validation images'
    return f'{found}\n- {note}' if note else found


def _train_and_val(root: Path, folder: Path) -> Tuple[Path, Path, str]:
    """The folders of both parts, and a note if the second one was set aside.

    Raises:
        FishNetError: If the folder has another layout.
    """
    if not root.is_dir():
        raise FishNetError(f'--data {root} is not a folder')
    parts = {part: [root / word for word in PARTS[part] if (root / word).is_dir()] for part in ('train', 'val')}
    if parts['train'] and parts['val']:
        return parts['train'][0], parts['val'][0], ''
    whole = parts['train'][0] if parts['train'] else root
    classes = sorted(one for one in whole.iterdir() if one.is_dir() and not one.name.startswith('.'))
    if len(classes) < 2 or parts['val'] or not all(map(_images, classes)):
        raise FishNetError(f'{root} has no layout that --data knows for a classifier\n{LAYOUTS.format(root=root)}')
    for one in classes:
        names = _images(one)
        chosen = choose(names, str(one))
        _link(one, folder / 'train' / one.name, [name for name in names if name not in chosen])
        _link(one, folder / 'val' / one.name, sorted(chosen))
    note = f'{whole} has no validation part: 10 % of each class are set aside, by a fixed seed (links in {folder})'
    return folder / 'train', folder / 'val', note


def _images(folder: Path) -> List[str]:
    return sorted(name for name in os.listdir(folder) if name.lower().endswith(IMAGE_SUFFIXES))


def _link(source: Path, target: Path, names: List[str]) -> None:
    """Makes a folder of links to some files of another folder, and to no others.

    Raises:
        FishNetError: If links cannot be made.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        for old in set(os.listdir(target)) - set(names):
            (target / old).unlink(missing_ok=True)
        for name in names:
            # The processes of a distributed run make the same links.
            if not os.path.lexists(target / name):
                try:
                    os.symlink((source / name).resolve(), target / name)
                except FileExistsError:
                    pass
    except OSError as error:
        raise FishNetError(
            f'{target} cannot be filled with links ({error.strerror}): divide the images into {source.parent}/train and '
            f'{source.parent}/val yourself, or choose another --work-dir'
        ) from error
