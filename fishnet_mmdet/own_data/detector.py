"""The config of a detector, with the data sets, evaluators and classes of the user's own data."""

import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, MutableMapping, Optional

from mmdet.datasets import BaseDetDataset, CocoDataset, CocoPanopticDataset, CrowdHumanDataset, OpenImagesDataset
from mmdet.datasets.xml_style import XMLDataset
from mmdet.registry import DATASETS
from mmengine.config import Config

from ..engine.config_tree import datasets_in, dicts_in
from ..engine.metrics import predicts_masks
from ..errors import FishNetError
from .classes import Classes
from .heads import set_num_classes
from .parts import Part

#: Data sets of boxes or instance masks, in whose place a CocoDataset can be.
REPLACEABLE = (CocoDataset, XMLDataset, CrowdHumanDataset, OpenImagesDataset)
#: Arguments that a CocoDataset and other data sets share, and that do not say where or what the data is.
SHARED = ('_scope_', 'pipeline', 'filter_cfg', 'test_mode', 'indices', 'return_classes', 'serialize_data', 'lazy_init')
#: Settings of a CocoMetric for other data, or for files instead of an evaluation.
OTHER_USES = ('outfile_prefix', 'sort_categories')
DATALOADERS = dict(train='train_dataloader', val='val_dataloader', test='test_dataloader')
EVALUATORS = dict(val='val_evaluator', test='test_evaluator')


def check_config(cfg: Config) -> None:
    """Checks that the config trains a detector of boxes or instance masks on single images.

    Raises:
        FishNetError: If not.
    """
    if not cfg.get('train_dataloader'):
        raise FishNetError(f'{cfg.filename} has no train_dataloader, so --data has nothing to replace')
    if any(part.get('num_stuff_classes') for part in dicts_in(cfg.model)):
        raise FishNetError(
            f'--data takes boxes and masks of objects, and {cfg.model.type} of {cfg.filename} is a panoptic model, which '
            'needs panoptic annotations: choose a config of instance segmentation'
        )
    if cfg.model.get('teacher_ckpt') and cfg.model.get('teacher_bbox_head'):
        raise FishNetError(f'{cfg.model.type} learns from a teacher with its own classes: --data cannot change those')
    steps = list(dicts_in(cfg.train_dataloader.dataset))
    if any(step.get('with_seg') for step in steps):
        raise FishNetError(
            f'{cfg.filename} trains on semantic maps too, and --data takes boxes and masks: choose a config without the '
            'semantic branch, such as configs/htc_without_semantic_fishnet150_fpn.py'
        )
    if any(step.get('type') == 'LoadProposals' or step.get('proposal_file') for step in steps):
        raise FishNetError(f'{cfg.filename} trains on proposals from a file, which --data does not have: use Faster R-CNN')
    for dataset in datasets_in(cfg.train_dataloader.dataset):
        kind = _class_of(dataset)
        if not issubclass(kind, REPLACEABLE) or issubclass(kind, CocoPanopticDataset):
            raise FishNetError(
                f'--data cannot take the place of the {kind.__name__} of {cfg.filename}: choose a config that trains on '
                'images with boxes or masks'
            )
    if 'MultiBranchDataPreprocessor' in str((cfg.model.get('data_preprocessor') or {}).get('type')):
        raise FishNetError(f'{cfg.model.type} needs unlabelled images too, and --data has none: choose a supervised detector')


def reads_masks(cfg: Config) -> bool:
    """Whether the training of a config reads masks."""
    return any(step.get('with_mask') for step in dicts_in(cfg.train_dataloader.dataset))


def check_masks(cfg: Config, parts: Mapping[str, Part]) -> None:
    """Checks that each part has masks.

    Raises:
        FishNetError: If not; the message names a config that needs none.
    """
    for part in parts.values():
        if part.file.annotations and not any(one.get('segmentation') for one in part.file.annotations):
            raise FishNetError(
                f'the {len(part.file.annotations)} objects in {part.file.path} have boxes but no masks (segmentation), and '
                f'{cfg.model.type} learns masks: use a detector of boxes, {config_of_boxes(cfg.filename)}'
            )


def config_of_boxes(config: Optional[str]) -> str:
    """The name of the config of boxes that is most like a config of masks."""
    new = str(config)
    for old, replacement in (('cascade_mask_rcnn', 'cascade_rcnn'), ('mask_rcnn', 'faster_rcnn'), ('rtmdet_ins', 'rtmdet')):
        for sign in '_-':
            new = new.replace(old.replace('_', sign), replacement.replace('_', sign))
    if new != config and Path(new).is_file():
        return os.path.relpath(new) if Path(new).is_relative_to(Path.cwd()) else new
    return 'such as configs/faster_rcnn_fishnet150_fpn.py'


def use_data(cfg: Config, root: Path, parts: Mapping[str, Part], classes: Classes) -> List[str]:
    """Sets data sets, evaluators and numbers of classes of a config, in place.

    Args:
        cfg (Config): The config of a detector.
        root (Path): The folder of the data.
        parts (Mapping[str, Part]): 'train' and 'val'; 'test' if there is one, else 'val' takes its place.
        classes (Classes): The classes.

    Returns:
        list[str]: Notes for the user.
    """
    notes = []
    cfg.data_root = f'{root}/'
    for name, key in DATALOADERS.items():
        if cfg.get(key):
            part = parts.get(name, parts['val'])
            cfg[key].dataset = _with_leaf(cfg[key].dataset.to_dict(), _location(root, part, classes))
            if name in EVALUATORS and cfg.get(EVALUATORS[name]):
                old = cfg[EVALUATORS[name]]
                cfg[EVALUATORS[name]] = _evaluator(old, part, predicts_masks(cfg), notes)
    set_num_classes(cfg.model, len(classes.names))
    return list(dict.fromkeys(notes))


def _location(root: Path, part: Part, classes: Classes) -> Dict[str, Any]:
    """The arguments of a CocoDataset that say where the data is and what its classes are."""
    return dict(
        type='CocoDataset',
        data_root=f'{root}/',
        ann_file=_relative(Path(part.file.path), root),
        data_prefix=dict(img=f'{_relative(part.images, root)}/'),
        metainfo=dict(classes=classes.names),
    )


def _relative(path: Path, root: Path) -> str:
    """A path as a data set joins it to its root; '' is a root itself."""
    path = path.resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _with_leaf(dataset: dict, location: Mapping) -> dict:
    """A data set with its wrappers, over the own data. Of several data sets that are put together, one stays."""
    if dataset.get('datasets'):
        return _with_leaf(dataset['datasets'][0], location)
    if 'dataset' in dataset:
        return dict(dataset, dataset=_with_leaf(dataset['dataset'], location))
    if _class_of(dataset) is not CocoDataset:
        dataset = {key: value for key, value in dataset.items() if key in SHARED}
    for part in dicts_in(dataset):
        if part.get('backend_args'):
            part['backend_args'] = None
    return {**dataset, **location}


def _class_of(dataset: Mapping) -> type:
    kind = dataset.get('type')
    found = DATASETS.get(kind) if isinstance(kind, str) else kind
    return found if isinstance(found, type) and issubclass(found, BaseDetDataset) else type(str(kind), (), {})


def _evaluator(old: Any, part: Part, masks: bool, notes: List[str]) -> MutableMapping:
    """A CocoMetric on a part of the data, with the settings of the old one if there is one."""
    evaluators = old if isinstance(old, (list, tuple)) else [old]
    new = dict(type='CocoMetric', metric=['bbox', 'segm'] if masks else 'bbox', format_only=False)
    for one in evaluators:
        if one.get('type') == 'CocoMetric':
            new.update((key, value) for key, value in one.items() if key not in OTHER_USES)
        else:
            notes.append(f'the metric is CocoMetric, not {one.get("type")}')
    if 'segm' in new['metric'] and not all(one.get('segmentation') for one in part.file.annotations):
        notes.append('only boxes are evaluated: the data has no masks')
        new['metric'] = 'bbox'
    new.update(ann_file=part.file.path, format_only=False)
    if new.get('backend_args'):
        new['backend_args'] = None
    return new
