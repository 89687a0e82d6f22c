"""From a folder of the user's own data to the changes of a config."""

import os
from pathlib import Path

from mmengine.config import Config

from ..datasets.coco_file import class_names
from ..errors import FishNetError
from .class_folders import use_class_folders
from .classes import leave_out_groups, unify_classes
from .detector import check_config, check_masks, reads_masks, use_data
from .entries import check_entries, complete
from .heads import allow_detections
from .layouts import find_parts
from .parts import write_changed
from .splitting import set_aside
from .survey import Objects, remarks, table


def use_own_data(cfg: Config, folder: str, out: Path) -> str:
    """Trains, validates and tests a config on the data in a folder.

    The config's data sets, evaluators, class names, number of classes in every head, and number of detections in an image
    change. Detectors take annotations in COCO's format, classifiers a folder of class folders.

    Args:
        cfg (Config): The config; it is changed in place.
        folder (str): The folder of the data.
        out (Path): The folder for files that are derived from the data, such as those of a validation part.

    Returns:
        str: What was found, and notes for the user.

    Raises:
        FishNetError: If the config does not train on single images, the layout is unknown, the annotations are damaged, or
            they have no masks and the config needs masks.
    """
    root = Path(os.path.expanduser(folder)).resolve()
    out = out.resolve()
    if cfg.model.type in ('Classifier', 'fishnet_mmdet.Classifier'):
        return use_class_folders(cfg, root, out)
    check_config(cfg)
    parts = find_parts(root)
    if masks := reads_masks(cfg):
        check_masks(cfg, parts)
    notes = [*leave_out_groups(parts), *complete(parts)]
    for part in parts.values():
        class_names(part.file)
    notes += check_entries(parts, masks)
    if not parts['train'].file.annotations:
        raise FishNetError(f'{parts["train"].file.path} has no objects that can be used')
    classes, about_classes = unify_classes(parts)
    notes += about_classes
    if 'val' not in parts:
        source = parts['train'].file.path
        notes.append(
            f'{source} has no validation part: {set_aside(parts)} of its images (10 %) are set aside, by a fixed seed'
        )
    if written := write_changed(parts, out):
        notes.append(f'the annotations that this run reads are {" and ".join(written)} in {out}')
    notes += use_data(cfg, root, parts, classes)
    objects = {name: Objects.of(part, classes) for name, part in parts.items()}
    notes += allow_detections(cfg.model, max(int(part.per_image.max()) for part in objects.values()))
    notes += remarks(cfg, objects, classes)
    return '\n'.join([f'The data in {root}:', table(objects, classes), *(f'- {note}' for note in notes)])
