"""The metric of panoptic segmentation, without panopticapi."""

from typing import Dict, List, Optional, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from ..datasets.panoptic import read_segment_ids
from ..errors import FishNetError
from ..registry import METRICS

#: mmdet's INSTANCE_OFFSET, which cannot be imported without mmcv's compiled ops, as this package is to be.
OFFSET = 1000


@METRICS.register_module()
class PanopticQuality(BaseMetric):
    """Panoptic quality in percent (Kirillov et al. 2019, arXiv:1801.00868, section 4), as COCO evaluates it.

    PQ of a class is the product of SQ, the mean IoU of its matched segments, and RQ, their F1 score. The results are the means
    over all classes, over things (``_th``) and over stuff (``_st``), of those classes that are in the truth or the
    predictions, by the names of mmdet's ``CocoPanopticMetric``. The truth is read from the PNG of the data set, whose path
    and segments the samples carry: ``seg_map_path`` and ``segments_info`` among the ``meta_keys`` of ``PackDetInputs``.

    Args:
        backend_args (dict, optional): Where the PNG lie, as mmengine's ``fileio`` takes it.
        **kwargs: Of mmengine's ``BaseMetric``.

    Raises:
        FishNetError: On evaluation, if the samples do not carry their truth or it is not of their size, or the data set does
            not say which of its classes are things.
    """

    default_prefix = 'coco_panoptic'

    def __init__(self, backend_args: Optional[dict] = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.backend_args = backend_args

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Takes the predictions of a batch, each with its ``pred_panoptic_seg`` and truth."""
        things = self._things()
        for sample in data_samples:
            if not sample.get('seg_map_path') or 'segments_info' not in sample:
                raise FishNetError(
                    'PanopticQuality needs the path and the segments of the truth: add seg_map_path and segments_info to '
                    'meta_keys of PackDetInputs in the test pipeline, and seg to data_prefix of the data set'
                )
            truth = read_segment_ids(sample['seg_map_path'], self.backend_args)
            found = sample['pred_panoptic_seg']['sem_seg'][0].cpu().numpy()
            if truth.shape != found.shape:
                raise FishNetError(
                    f'the panoptic map {sample["seg_map_path"]} has the size {truth.shape}, the prediction {found.shape}'
                )
            self.results.append(count_segments(truth, sample['segments_info'], found, things))

    def compute_metrics(self, results: List[np.ndarray]) -> Dict[str, float]:
        """The means over the classes; nan where there is no class of a kind."""
        things = self._things()
        iou, hits, false, missed = np.sum(results, 0).T
        # Half of each error: a segment missed and another found in its place are one.
        segments = hits + (false + missed) / 2
        found, present = np.maximum(hits, 1), segments > 0
        metrics = {}
        for suffix, kind in (('', np.ones_like(things)), ('_th', things), ('_st', ~things)):
            kind = kind & present
            for name, numerator, denominator in (('PQ', iou, segments), ('SQ', iou, found), ('RQ', hits, segments)):
                values = numerator[kind] / denominator[kind]
                metrics[name + suffix] = 100 * values.mean() if kind.any() else float('nan')
        return metrics

    def _things(self) -> np.ndarray:
        """(classes,) bool: which classes are things."""
        classes, things = (self.dataset_meta.get(key, ()) for key in ('classes', 'thing_classes'))
        unknown = [name for name in things if name not in classes]
        if unknown or not things:
            raise FishNetError(
                'metainfo of the data set must name its thing_classes and stuff_classes, all of them among its classes: '
                + (f'{", ".join(unknown[:5])} are not' if unknown else 'there are no thing_classes')
            )
        return np.isin(classes, things)


def count_segments(truth: np.ndarray, segments: Sequence[dict], found: np.ndarray, things: np.ndarray) -> np.ndarray:
    """Matches the segments of one image: those of one class match if their IoU is above one half.

    Pixels of no true segment are void: they do not enter the IoU. A segment that was found and does not match is not counted
    as false if more than half of it lies in void and in crowds of its class; crowds are not counted as missed.

    Args:
        truth (np.ndarray): (height, width), ids of the segments.
        segments (Sequence[dict]): The true segments: ``id``, ``category`` from 0, and ``is_thing``, which is false for
            crowds of things too, as mmdet's ``CocoPanopticDataset`` has it.
        found (np.ndarray): (height, width), class + 1000 * number of the segment, as mmdet predicts it; numbers of no class
            are void.
        things (np.ndarray): (classes,) bool, which classes are things.

    Returns:
        np.ndarray: (classes, 4) float64: sum of the IoU of matches, matches, false segments, missed segments.
    """
    known = {segment['id']: segment for segment in segments}
    true_ids, rows = np.unique(truth, return_inverse=True)
    found_ids, columns = np.unique(found, return_inverse=True)
    pairs = rows.ravel() * len(found_ids) + columns.ravel()
    overlap = np.bincount(pairs, minlength=len(true_ids) * len(found_ids)).reshape(len(true_ids), len(found_ids))
    area = overlap.sum(0)

    true_segments = [known.get(number) for number in true_ids.tolist()]
    labels = np.array([segment['category'] if segment else -1 for segment in true_segments])
    crowd = np.array([bool(segment and things[segment['category']] and not segment['is_thing']) for segment in true_segments])
    void = labels < 0
    found_labels = found_ids % OFFSET
    same = labels[:, None] == found_labels

    in_void = overlap[void].sum(0)
    in_crowd = (overlap * (same & crowd[:, None])).sum(0)
    union = overlap.sum(1)[:, None] + area - overlap - in_void
    matched = same & ~crowd[:, None] & (2 * overlap > union)
    missed = ~void & ~crowd & ~matched.any(1)
    false = (found_labels < len(things)) & ~matched.any(0) & (2 * (in_void + in_crowd) <= area)

    hits = labels[matched.nonzero()[0]]
    return np.stack(
        [
            np.bincount(hits, overlap[matched] / union[matched], minlength=len(things)),
            np.bincount(hits, minlength=len(things)),
            np.bincount(found_labels[false], minlength=len(things)),
            np.bincount(labels[missed], minlength=len(things)),
        ],
        1,
    )
