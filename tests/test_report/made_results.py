"""Annotated images, predictions on them, and their evaluation by mmdet's CocoMetric, for tests of the page."""

import json

import cv2
import numpy as np
import torch
from mmdet.evaluation import CocoMetric

from fishnet_mmdet.datasets.shapes import CLASSES
from fishnet_mmdet.report.coco import recorded_evaluations
from fishnet_mmdet.report.detection import Truth
from fishnet_mmdet.report.tested import Kept, image_result


def predicted(annotations, shape, classes, rng):
    """Predictions from annotations: most shifted, some left out, some twice, some of another class. Scores are distinct."""
    boxes, labels, masks = [], [], []
    for one in annotations:
        for copy in range(1 + (rng.random() < 0.4)):
            if rng.random() < 0.2:
                continue
            x, y, w, h = one['bbox']
            dx, dy = np.round(rng.normal(size=2) * (2 + 3 * copy))
            box = np.clip([x + dx, y + dy, x + w + dx, y + h + dy], 0, [shape[1], shape[0]] * 2)
            if min(box[2:] - box[:2]) < 2:
                continue
            label = one['category_id'] - 1
            boxes.append(box)
            labels.append((label + 1) % classes if rng.random() < 0.15 else label)
            mask = np.zeros(shape, np.uint8)
            x1, y1, x2, y2 = box.astype(int)
            cv2.ellipse(mask, ((x1 + x2) // 2, (y1 + y2) // 2), ((x2 - x1) // 2, (y2 - y1) // 2), 0, 0, 360, 1, -1)
            masks.append(mask)
    return dict(
        bboxes=torch.tensor(np.array(boxes).reshape(-1, 4)).float(),
        labels=torch.tensor(labels, dtype=torch.long),
        scores=torch.tensor(rng.permutation(len(boxes)) / max(1, len(boxes)) * 0.9 + 0.05).float(),
        masks=torch.tensor(np.array(masks).reshape(-1, *shape)).bool(),
    )


def evaluated(root, ann_file, folder, kinds=('bbox', 'segm'), classes=CLASSES, predict=predicted):
    """Results, truth and the log's numbers of predictions on a data set."""
    content = json.loads((root / ann_file).read_text())
    metric = CocoMetric(ann_file=str(root / ann_file), metric=list(kinds))
    kept = Kept(metric)
    metric.dataset_meta = dict(classes=tuple(classes))
    rng = np.random.default_rng(0)
    for record in content['images']:
        annotations = [one for one in content['annotations'] if one['image_id'] == record['id']]
        shape = record['height'], record['width']
        sample = dict(
            img_id=record['id'],
            ori_shape=shape,
            img_path=str(root / folder / record['file_name']),
            pred_instances=predict(annotations, shape, len(classes), rng),
        )
        for one in (metric, kept):
            one.process({}, [sample])
    with recorded_evaluations() as evaluations:
        numbers = metric.evaluate(len(content['images']))
    kept.evaluate(len(content['images']))
    results = [image_result(found, 'segm' in kinds) for found in kept.images]
    return results, Truth(metric._coco_api, metric.cat_ids, evaluations), numbers


def facts(config='model = dict()'):
    """What a page says of a run."""
    return dict(
        facts=dict(
            rows=[('Command', 'python tools/test.py a b'), ('Config', 'configs/tiny.py'), ('Date', 'today')], config=config
        ),
        curves=dict(losses=[], scores=[], note='no log'),
    )
