"""The annotation files that a config names, checked before a run: faults of their entries, and their classes."""

import os
from typing import List, NamedTuple, Optional, Sequence

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmengine.config import Config

from ..datasets import ObjectCrops
from ..datasets.coco_checks import BOXES, CROPS, FAULTS, MASKS, SKIP, judge
from ..datasets.coco_summary import Summary, summarise
from ..datasets.usable_coco import UsableCOCO
from ..errors import FishNetError
from ..registry import DATASETS
from .class_names import compare_with_file, dataset_classes
from .config_tree import datasets_in, dicts_in

STRICT = 'Correct the file, or leave --strict-data out.'


class Source(NamedTuple):
    """A data set in a config that reads a file in COCO's format."""

    key: str
    """The dataloader's key in the config."""
    dataset: dict
    kind: type
    path: str

    @property
    def training(self) -> bool:
        """Whether it is trained on."""
        return self.key == 'train_dataloader'


def check_annotations(cfg: Config, dataloaders: Sequence[str], strict: bool = False) -> List[str]:
    """Checks the annotation files of data sets in COCO's format.

    Where training must skip entries that mmdet would fail on, it makes mmdet's data set skip them.

    Args:
        cfg (Config): The config.
        dataloaders (Sequence[str]): Their keys in the config.
        strict (bool): Whether entries that could be skipped are an error.

    Returns:
        list[str]: Notes for the log: what is skipped.

    Raises:
        FishNetError: If a file cannot be read, its classes differ from the data set's, or it has faults that would make
            the results wrong or leave nothing to train on.
    """
    notes = []
    for source in _sources(cfg, dataloaders):
        use = _use(cfg, source)
        summary = summarise(source.path, source.dataset.get('backend_args'), use, annotated=not _format_only(cfg, source))
        # Crops find their classes by name, in any order, and say themselves which are missing.
        if source.kind is not ObjectCrops:
            note = compare_with_file(source.kind, dataset_classes(source.dataset), summary, f'{source.key}: {source.path}')
            notes += [note] if note else []
        if not _is_plain(source.kind):
            continue
        totals = dict(images=summary.images, annotations=summary.annotations)
        if block := judge(summary.found, source.path, totals, source.training):
            if strict:
                raise FishNetError(f'{block}\n{STRICT}')
            if source.kind is not ObjectCrops:  # it logs them itself
                notes.append(block)
        if source.training:
            _check_rest(summary, source, block)
            _skip_faulty(summary, source, use)
        elif not summary.images or not (summary.annotations or _format_only(cfg, source)):
            lacks = 'annotations' if summary.images else 'images'
            raise FishNetError(f'{source.path} has no {lacks} to test with: correct ann_file of {source.key}')
    return notes


def _check_rest(summary: Summary, source: Source, faults: Optional[str]) -> None:
    """Checks that something is left to train on.

    Raises:
        FishNetError: If not.
    """
    classes = dataset_classes(source.dataset) or summary.names
    usable = sum(count for name, count in zip(summary.names, summary.usable) if name in classes)
    if not usable:
        raise FishNetError(
            f'nothing is left to train on: of the {summary.annotations:,} annotations in {source.path} none can be used\n'
            f'{faults or "The file has none of the classes."}'
        )
    smallest = (source.dataset.get('filter_cfg') or {}).get('min_size', 0)
    if smallest > summary.largest_side:
        raise FishNetError(
            f'nothing is left to train on: filter_cfg.min_size={smallest} of {source.key} skips every image in {source.path}, '
            f'whose shorter sides have at most {summary.largest_side} pixels; lower it'
        )


def _skip_faulty(summary: Summary, source: Source, use: str) -> None:
    """Makes mmdet's data set skip the entries that it would fail on."""
    fails = any(FAULTS[kind].training == SKIP and not FAULTS[kind].by_mmdet for kind in summary.found)
    if fails and source.kind is not ObjectCrops:
        source.kind.COCOAPI = type('UsableCOCO', (UsableCOCO,), dict(use=use))


def _sources(cfg: Config, dataloaders: Sequence[str]) -> List[Source]:
    found = []
    for key in dataloaders:
        for dataset in datasets_in((cfg.get(key) or {}).get('dataset')):
            kind = dataset.get('type')
            kind = DATASETS.get(kind) if isinstance(kind, str) else kind
            if isinstance(kind, type) and issubclass(kind, (CocoDataset, ObjectCrops)) and dataset.get('ann_file'):
                path = os.path.join(dataset.get('data_root') or '', dataset['ann_file'])
                # Without a storage of its own, a file that is not there belongs to a storage that the pipeline alone names.
                if os.path.exists(path) or dataset.get('backend_args'):
                    found.append(Source(key, dataset, kind, path))
                if key != 'train_dataloader':
                    found += [Source(key, dataset, kind, other) for other in _other_truth(cfg, key, path)]
    return found


def _other_truth(cfg: Config, key: str, path: str) -> List[str]:
    """The local annotation files of a dataloader's evaluators that are not its data set's.

    Raises:
        FishNetError: If one does not exist.
    """
    evaluators = [one for one in _evaluators(cfg, key) if isinstance(one.get('ann_file'), str) and not one.get('backend_args')]
    others = {one['ann_file'] for one in evaluators} - {path}
    for other in others:
        if '://' not in other and not os.path.exists(other):
            raise FishNetError(f'the annotation file of {_evaluator_key(key)} is missing: {other} does not exist')
    return sorted(other for other in others if not (os.path.exists(path) and os.path.samefile(path, other)))


def _is_plain(kind: type) -> bool:
    """Whether a data set reads COCO's instances; panoptic files and LVIS have other keys."""
    return kind is ObjectCrops or kind.COCOAPI is COCO or issubclass(kind.COCOAPI, UsableCOCO)


def _evaluator_key(key: str) -> str:
    return key.replace('dataloader', 'evaluator')


def _evaluators(cfg: Config, key: str) -> List[dict]:
    evaluator = cfg.get(_evaluator_key(key)) or []
    return [evaluator] if isinstance(evaluator, dict) else list(evaluator)


def _use(cfg: Config, source: Source) -> str:
    """What the file is read for: a key of ``coco_checks.USES``."""
    if source.kind is ObjectCrops:
        return CROPS
    metrics: List[str] = []
    for evaluator in [] if source.training else _evaluators(cfg, source.key):
        metric = evaluator.get('metric') or ()
        metrics += [metric] if isinstance(metric, str) else metric
    with_mask = any(part.get('with_mask') for part in dicts_in(cfg[source.key]))
    return MASKS if with_mask or 'segm' in metrics else BOXES


def _format_only(cfg: Config, source: Source) -> bool:
    return not source.training and any(one.get('format_only') for one in _evaluators(cfg, source.key))
