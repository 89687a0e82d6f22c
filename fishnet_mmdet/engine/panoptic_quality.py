"""The metric of panoptic segmentation, without panopticapi."""

from typing import Dict, List, Optional, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from ..datasets.panoptic import read_segment_ids
from ..errors import FishNetError
from ..registry import METRICS

#: mmdet's INSTANCE_OFFSET. It is not imported, because that needs mmcv's compiled ops, and importing this package must not.
OFFSET = 1000


@METRICS.register_module()
class PanopticQuality(BaseMetric):
    """Panoptic quality in percent (Kirillov et al. 2019, arXiv:1801.00868, section 4), as COCO evaluates it.

    PQ of a class is the product of SQ, the mean IoU of its matched segments, and RQ, their F1 score. The results are means
    over all classes, over things (``_th``) and over stuff (``_st``). Classes without a segment in the ground truth and in
    the predictions are left out. The names of the results are those of mmdet's ``CocoPanopticMetric``.

    The metric reads the ground truth from the PNG files of the data set. The samples must have the paths and segments:
    ``seg_map_path`` and ``segments_info`` in ``meta_keys`` of ``PackDetInputs``.

    Args:
        backend_args (dict, optional): Storage of the PNG files, as for mmengine's ``fileio``.
        **kwargs: Arguments of mmengine's ``BaseMetric``.

    Raises:
        FishNetError: During evaluation, if a sample has no ground truth or one of another size, or if the data set does not
            name its things.
    """

    default_prefix = 'coco_panoptic'

    def __init__(self, backend_args: Optional[dict] = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.backend_args = backend_args

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Counts the segments of a batch. A prediction has ``pred_panoptic_seg`` and the ground truth's path and segments."""
        things = self._things()
        for sample in data_samples:
            if not sample.get('seg_map_path') or 'segments_info' not in sample:
                raise FishNetError(
                    'PanopticQuality needs the ground truth of each sample: add seg_map_path and segments_info to meta_keys '
                    'of PackDetInputs in the test pipeline, and seg to data_prefix of the data set'
                )
            truth = read_segment_ids(sample['seg_map_path'], self.backend_args)
            found = sample['pred_panoptic_seg']['sem_seg'][0].cpu().numpy()
            if truth.shape != found.shape:
                raise FishNetError(
                    f'the panoptic map {sample["seg_map_path"]} has size {truth.shape}, but the prediction {found.shape}'
                )
            self.results.append(count_segments(truth, sample['segments_info'], found, things))

    def compute_metrics(self, results: List[np.ndarray]) -> Dict[str, float]:
        """The means over the classes; nan if no class of a kind is present."""
        things = self._things()
        iou, hits, false, missed = np.sum(results, 0).T
        # A missed segment and a false one in its place count as one error.
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
        """(classes,) bool: whether a class is a thing."""
        classes, things = (self.dataset_meta.get(key, ()) for key in ('classes', 'thing_classes'))
        unknown = [name for name in things if name not in classes]
        if unknown or not things:
            raise FishNetError(
                'metainfo of the data set must have thing_classes and stuff_classes, and classes must include them: '
                + (f'classes lacks {", ".join(unknown[:5])}' if unknown else 'thing_classes is missing')
            )
        return np.isin(classes, things)


def count_segments(truth: np.ndarray, segments: Sequence[dict], found: np.ndarray, things: np.ndarray) -> np.ndarray:
    """Matches the true and the predicted segments of one image. Segments of one class match if their IoU is above 0.5.

    Pixels without a true segment are void. The IoU does not count void pixels. A predicted segment without a match is not
    false if more than half of it is void or in crowds of its class. Crowds are never missed.

    Args:
        truth (np.ndarray): (height, width), ids of the segments.
        segments (Sequence[dict]): The true segments: ``id``, ``category`` from 0, and ``is_thing``. As in mmdet's
            ``CocoPanopticDataset``, ``is_thing`` is false for crowds.
        found (np.ndarray): (height, width), class + 1000 * number of the segment, as mmdet predicts it. Other classes are
            void.
        things (np.ndarray): (classes,) bool: whether a class is a thing.

    Returns:
        np.ndarray: (classes, 4) float64: sum of the IoU of matches, number of matches, of false and of missed segments.
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
