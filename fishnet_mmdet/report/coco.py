"""What COCOeval says of a test: AP, curves, and which prediction matches which object.

The evaluator's own COCOeval is read, so the page has the numbers of the log, and nothing is evaluated twice.
"""

from contextlib import contextmanager
from typing import Dict, Iterator, List, NamedTuple, Optional

import numpy as np
from mmdet.evaluation.metrics import coco_metric
from pycocotools.cocoeval import COCOeval

#: The IoU from which a prediction counts as found, in the pictures.
MATCH_IOU = 0.5
FALSE, TRUE, IGNORED = 0, 1, 2


class Evaluation(NamedTuple):
    """What COCOeval says of boxes or of masks.

    Attributes:
        kind (str): 'bbox' or 'segm'.
        ious (np.ndarray): (IoUs,).
        max_detections (list[int]): Of each class in an image, as ``COCOeval.params.maxDets``.
        precision (np.ndarray): (IoUs, 101 recalls, classes, 4 areas, numbers of detections); -1 where there is no object.
        recall (np.ndarray): (IoUs, classes, 4 areas, numbers of detections).
        objects (np.ndarray): (classes,), the objects that count, so without crowds.
        match_iou (float): The IoU of the matches below.
        found (dict): By annotation id the score of the prediction that matches the object; None for an ignored one. An object
            that no prediction matches is not in it.
        states (np.ndarray): (predictions,), FALSE, TRUE or IGNORED, in the order of the evaluated predictions.
    """

    kind: str
    ious: np.ndarray
    max_detections: List[int]
    precision: np.ndarray
    recall: np.ndarray
    objects: np.ndarray
    match_iou: float
    found: Dict[int, Optional[float]]
    states: np.ndarray


@contextmanager
def recorded_evaluations() -> Iterator[Dict[str, Evaluation]]:
    """Collects what CocoMetric's evaluations give while the context lasts, by kind.

    CocoMetric drops its COCOeval. Evaluating again would take minutes and gigabytes for COCO's 5000 images.
    """
    evaluations: Dict[str, Evaluation] = {}
    original = coco_metric.COCOeval

    class Recorded(original):
        def summarize(self) -> None:
            super().summarize()
            if self.params.useCats:
                evaluations[self.params.iouType] = read_evaluation(self)

    coco_metric.COCOeval = Recorded
    try:
        yield evaluations
    finally:
        coco_metric.COCOeval = original


def read_evaluation(done: COCOeval) -> Evaluation:
    """Reads an evaluation on which ``accumulate`` was called. The ids of its predictions count from 1, as loadRes has them."""
    params = done.params
    ious = np.asarray(params.iouThrs)
    level = int(np.argmin(np.abs(ious - MATCH_IOU)))
    states = np.full(len(done.cocoDt.anns), IGNORED, np.int8)
    found: Dict[int, Optional[float]] = {}
    objects = []
    images, areas = len(params.imgIds), len(params.areaRng)
    for number in range(len(params.catIds)):
        # The first range of areas has all objects.
        start = number * areas * images
        ones = [one for one in done.evalImgs[start : start + images] if one]
        objects.append(sum(int((np.asarray(one['gtIgnore']) == 0).sum()) for one in ones))
        for one in ones:
            scores = dict(zip(one['dtIds'], one['dtScores']))
            for i, match, ignored in zip(one['gtIds'], one['gtMatches'][level], one['gtIgnore']):
                if ignored or match:
                    found[i] = None if ignored else scores[match]
            for i, match, ignored in zip(one['dtIds'], one['dtMatches'][level], one['dtIgnore'][level]):
                states[i - 1] = IGNORED if ignored else TRUE if match else FALSE
    return Evaluation(
        params.iouType,
        ious,
        list(params.maxDets),
        done.eval['precision'],
        done.eval['recall'],
        np.array(objects),
        float(ious[level]),
        found,
        states,
    )


def table(evaluation: Evaluation) -> List[List[Optional[float]]]:
    """Objects, AP, AP50, AP75, AP of small, medium and large objects, and AR: of all classes, then of each.

    Returns:
        list[list]: A row for all classes and one for each. None where there is no object, or no such IoU.
    """
    # As COCOeval has it: AP with at most 100 detections of a class in an image, all others with the largest number.
    numbers = evaluation.max_detections
    hundred = numbers.index(100) if 100 in numbers else -1
    at = [np.flatnonzero(np.isclose(evaluation.ious, iou)) for iou in (0.5, 0.75)]

    def row(chosen):
        precision, recall = evaluation.precision[:, :, chosen], evaluation.recall[:, chosen]
        return [
            int(evaluation.objects[chosen].sum()),
            mean(precision[..., 0, hundred]),
            *(mean(precision[i, ..., 0, -1]) for i in at),
            *(mean(precision[..., area, -1]) for area in (1, 2, 3)),
            mean(recall[..., 0, -1]),
        ]

    classes = list(range(len(evaluation.objects)))
    return [row(classes), *(row([i]) for i in classes)]


def mean(values: np.ndarray) -> Optional[float]:
    """The mean of what COCOeval could compute; it writes -1 for the rest."""
    values = values[values > -1]
    return round(float(values.mean()), 4) if values.size else None


def precision_curves(evaluation: Evaluation) -> Dict[str, List[Optional[List[float]]]]:
    """Precision at the recalls 0, 0.01 ... 1, of all classes and of each, at IoU 0.5, 0.75 and the mean over all IoUs.

    Returns:
        dict[str, list]: By the name of the curve, one list of 101 values for all classes and one for each; None where there
        is no object.
    """
    ious = evaluation.ious
    levels = {f'IoU {iou:.2f}': np.flatnonzero(np.isclose(ious, iou)) for iou in (0.5, 0.75)}
    levels[f'mean of IoU {ious.min():.2f} to {ious.max():.2f}'] = np.arange(len(ious))
    known = evaluation.objects > 0
    curves = {}
    for name, chosen in levels.items():
        if len(chosen):
            of_class = evaluation.precision[chosen][..., 0, -1].mean(axis=0)  # (101, classes)
            of_all = of_class[:, known].mean(axis=1) if known.any() else None
            lines = [of_all, *(line if known[i] else None for i, line in enumerate(of_class.T))]
            curves[name] = [None if line is None else line.round(4).tolist() for line in lines]
    return curves
