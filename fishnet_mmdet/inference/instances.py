"""Predicted boxes and masks: drawn, and as COCO JSON."""

from pathlib import Path
from typing import Dict, List, Sequence

import numpy as np
from mmdet.datasets import CocoDataset
from mmdet.structures import DetDataSample
from mmdet.structures.mask import encode_mask_results
from mmengine.structures import InstanceData

from .visualizer import ObjectVisualizer

#: COCO numbers its 80 classes from 1 to 90, with gaps.
COCO_CATEGORY_IDS = [i for i in range(1, 91) if i not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]


class Instances:
    """Collects the instances found in images.

    Args:
        meta (dict): ``dataset_meta`` of the model: ``classes`` and, if they have other numbers than COCO's or 1, 2, 3 ...,
            ``category_ids``.
    """

    def __init__(self, meta: dict) -> None:
        classes = meta['classes']
        ids = meta.get('category_ids') or category_ids(classes)
        self.categories = [dict(id=i, name=name) for i, name in zip(ids, classes)]
        self.annotations: List[dict] = []
        self.visualizer = ObjectVisualizer(name='infer')
        self.visualizer.dataset_meta = meta

    def add(self, image_id: int, prediction: DetDataSample) -> None:
        """Adds the instances of an image; ``image_id`` numbers it."""
        instances = prediction.pred_instances.cpu().numpy()
        for annotation in to_coco(instances, [category['id'] for category in self.categories]):
            self.annotations.append(dict(annotation, id=len(self.annotations) + 1, image_id=image_id))

    def draw(self, image: np.ndarray, prediction: DetDataSample, file: Path, score_thr: float) -> None:
        """Draws the instances with a score of at least ``score_thr`` on the image (h, w, 3), BGR, and saves it."""
        self.visualizer.add_datasample(
            file.name, image[..., ::-1], prediction, draw_gt=False, pred_score_thr=score_thr, out_file=str(file)
        )

    def to_json(self) -> Dict[str, list]:
        """The collected instances as COCO has them, each with its score."""
        return dict(annotations=self.annotations, categories=self.categories)

    def summary(self, score_thr: float) -> str:
        """How many there are."""
        drawn = sum(annotation['score'] >= score_thr for annotation in self.annotations)
        return f'{drawn} instances with a score of at least {score_thr} drawn, all {len(self.annotations)} saved'


def category_ids(classes: Sequence[str]) -> List[int]:
    """COCO's own numbers for COCO's classes, else 1, 2, 3 ..."""
    return COCO_CATEGORY_IDS if tuple(classes) == CocoDataset.METAINFO['classes'] else list(range(1, len(classes) + 1))


def to_coco(instances: InstanceData, ids: Sequence[int]) -> List[dict]:
    """The predictions of one image as COCO annotations with a score.

    Args:
        instances (InstanceData): labels (n,), scores (n,), bboxes (n, 4) as x1, y1, x2, y2 in pixels, maybe masks (n, h, w).
        ids (Sequence[int]): The category id of each label.

    Returns:
        list[dict]: Boxes as [x, y, w, h] in pixels, masks as RLE.
    """
    annotations = []
    for i, (label, score, (x1, y1, x2, y2)) in enumerate(zip(instances.labels, instances.scores, instances.bboxes.tolist())):
        annotation = dict(
            category_id=ids[label],
            score=float(score),
            bbox=[x1, y1, x2 - x1, y2 - y1],
            iscrowd=0,
            area=(x2 - x1) * (y2 - y1),
        )
        if 'masks' in instances:
            rle = encode_mask_results([instances.masks[i]])[0]
            annotation.update(segmentation=dict(rle, counts=rle['counts'].decode()), area=int(instances.masks[i].sum()))
        annotations.append(annotation)
    return annotations
