"""The numbers of a page, beside the evaluator's own and beside plain loops."""

import os
from pathlib import Path

import numpy as np
import pytest
from made_results import evaluated
from mmdet.evaluation.metrics import coco_metric
from pycocotools import mask as rle_masks

from fishnet_mmdet.datasets.shapes import make_shapes
from fishnet_mmdet.report.coco import FALSE, IGNORED, TRUE, precision_curves, recorded_evaluations, table

COLUMNS = ['mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l']
COCO = os.environ.get('FISHNET_TEST_COCO')


@pytest.fixture(scope='module')
def shapes_made(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'shapes'
    make_shapes(root, num_train=1, num_val=12)
    return evaluated(root, 'annotations/instances_val.json', 'val')


@pytest.mark.parametrize('kind', ['bbox', 'segm'])
def test_the_table_has_the_numbers_of_the_log(shapes_made, kind):
    _, truth, numbers = shapes_made
    rows = table(truth.evaluations[kind])
    assert len(rows) == 6 and sum(row[0] for row in rows[1:]) == rows[0][0] == len(truth.annotations.anns)
    for column, value in zip(COLUMNS, rows[0][1:]):
        logged = numbers[f'coco/{kind}_{column}']
        assert value is None if logged == -1 else value == pytest.approx(logged, abs=6e-4), column
    assert 0.1 < rows[0][1] < 0.9
    # A mean of all classes is one of the classes that have objects.
    for column in range(1, 8):
        of_classes = [row[column] for row in rows[1:] if row[column] is not None]
        if of_classes:
            assert rows[0][column] == pytest.approx(np.mean(of_classes), abs=1e-4)


def test_precision_at_recall(shapes_made):
    """The mean of the curves is AP, and each falls."""
    _, truth, _ = shapes_made
    evaluation = truth.evaluations['segm']
    curves = precision_curves(evaluation)
    rows = table(evaluation)
    assert list(curves) == ['IoU 0.50', 'IoU 0.75', 'mean of IoU 0.50 to 0.95']
    for name, column in zip(curves, (2, 3, 1)):
        for line, row in zip(curves[name], rows):
            assert len(line) == 101 and (np.diff(line) <= 1e-4).all()
            assert np.mean(line) == pytest.approx(row[column], abs=2e-4)


def iou(one, other):
    intersection = (one & other).sum()
    return intersection / ((one | other).sum() or 1)


def test_matches_are_those_of_plain_loops(shapes_made):
    """The best prediction first, each takes the free object of its class with the largest overlap, from IoU 0.5 on."""
    results, truth, _ = shapes_made
    evaluation = truth.evaluations['segm']
    states, found = [], {}
    for result in results:
        masks = [rle_masks.decode(rle) > 0 for rle in result.masks]
        objects = {one['id']: (one['category_id'] - 1, truth.annotations.annToMask(one) > 0)
                   for one in truth.annotations.imgToAnns[result.image_id]}  # fmt: skip
        state = [FALSE] * len(masks)
        for i in np.argsort(-result.scores):
            overlaps = {
                key: iou(masks[i], mask)
                for key, (label, mask) in objects.items()
                if label == result.labels[i] and key not in found
            }
            best = max(overlaps, key=overlaps.get, default=None)
            if best is not None and overlaps[best] >= 0.5:
                found[best] = result.scores[i]
                state[i] = TRUE
        states += state
    assert evaluation.states.tolist() == states
    assert evaluation.found == pytest.approx(found)
    assert 10 < len(found) < len(truth.annotations.anns) and states.count(FALSE) > 5


def test_nothing_stays_changed():
    before = coco_metric.COCOeval
    with pytest.raises(ZeroDivisionError), recorded_evaluations():
        assert coco_metric.COCOeval is not before
        raise ZeroDivisionError
    assert coco_metric.COCOeval is before


@pytest.mark.skipif(not COCO, reason='set FISHNET_TEST_COCO to a folder in the layout of COCO to test on real annotations')
def test_crowds_are_ignored():
    """COCO's own annotations as predictions: all are found, and those of crowds are neither right nor wrong."""
    from mmdet.datasets import CocoDataset

    root = Path(COCO)
    crowds = []

    def predict(annotations, shape, classes, rng):
        import torch

        crowds.extend(bool(one['iscrowd']) for one in annotations)
        boxes = torch.tensor([one['bbox'] for one in annotations]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = torch.tensor([ids.index(one['category_id']) for one in annotations], dtype=torch.long)
        return dict(bboxes=boxes, labels=labels, scores=torch.full((len(boxes),), 0.8))

    from fishnet_mmdet.inference.instances import COCO_CATEGORY_IDS as ids

    classes = CocoDataset.METAINFO['classes']
    _, truth, numbers = evaluated(root, 'annotations/instances_val2017.json', 'val2017', ['bbox'], classes, predict)
    evaluation = truth.evaluations['bbox']
    assert any(crowds) and numbers['coco/bbox_mAP_50'] > 0.95
    rows = table(evaluation)
    assert rows[0][0] == len(crowds) - sum(crowds)
    states = evaluation.states
    assert (states == TRUE).sum() >= rows[0][0] * 0.97
    assert (states[np.array(crowds)] == IGNORED).all()
    assert sum(score is None for score in evaluation.found.values()) == sum(crowds)
