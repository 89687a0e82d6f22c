"""The metric of classification against a plain sort."""

import numpy as np
import pytest
import torch

from fishnet_mmdet import Accuracy
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.registry import METRICS


def evaluate(scores, labels, topk=(1, 5), batch=7):
    metric = METRICS.build(dict(type='Accuracy', topk=topk))
    samples = [dict(label=int(label), scores=torch.from_numpy(row)) for label, row in zip(labels, scores)]
    for start in range(0, len(samples), batch):
        metric.process({}, samples[start : start + batch])
    return metric.evaluate(len(samples))


def by_sorting(scores, labels, k):
    return 100 * np.mean([label in np.argsort(-row)[:k] for label, row in zip(labels, scores)])


@pytest.mark.parametrize('topk', [(1,), (1, 5), (3, 2, 7)])
@pytest.mark.parametrize('classes', [11, 100])
def test_equal_to_a_sort(topk, classes):
    random = np.random.default_rng(0)
    scores, labels = random.permuted(np.tile(np.arange(classes) / classes, (50, 1)), axis=1), random.integers(0, classes, 50)
    # So that the ranks are spread, and no accuracy is 0 or 100.
    scores[np.arange(0, 50, 3), labels[::3]] += 0.853
    found = evaluate(scores, labels, topk)
    assert set(found) == {f'accuracy/top{k}' for k in topk}
    for k in topk:
        assert found[f'accuracy/top{k}'] == pytest.approx(by_sorting(scores, labels, k), abs=1e-12)
        assert 0 < found[f'accuracy/top{k}'] < 100


def test_of_one_class_each():
    assert evaluate(np.eye(4), [0, 1, 2, 0], topk=(1,)) == {'accuracy/top1': 75}


@pytest.mark.parametrize('classes', [2, 4, 5])
def test_with_no_more_classes_than_k_all_are_right(classes):
    random = np.random.default_rng(0)
    scores, labels = random.permuted(np.tile(np.arange(classes) / 8, (40, 1)), axis=1), random.integers(0, classes, 40)
    found = evaluate(scores, labels)
    assert found['accuracy/top5'] == 100
    assert found['accuracy/top1'] == pytest.approx(by_sorting(scores, labels, 1))
    assert 0 < found['accuracy/top1'] < 100


def test_one_k():
    assert evaluate(np.eye(4), [0, 1, 2, 0], topk=1) == {'accuracy/top1': 75}


@pytest.mark.parametrize('topk', [(), 0, (1, -5), (1.5,)])
def test_wrong_k(topk):
    with pytest.raises(FishNetError, match='topk of Accuracy must be'):
        Accuracy(topk)


def test_is_registered():
    assert type(METRICS.build(dict(type='Accuracy'))) is Accuracy
