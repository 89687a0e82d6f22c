"""What has no page says so before the test."""

from types import SimpleNamespace

import pytest
from mmdet.evaluation import CocoMetric

from fishnet_mmdet import Accuracy, PanopticQuality
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.inference.instances import Instances
from fishnet_mmdet.inference.panoptic import PanopticSegmentation
from fishnet_mmdet.report import TestReport, check_predictions
from fishnet_mmdet.report.tested import Kept


def runner(*metrics, shuffle=False):
    """What a report asks of a Runner before its test."""
    sampler = SimpleNamespace(shuffle=shuffle)
    return SimpleNamespace(
        test_evaluator=SimpleNamespace(metrics=list(metrics)), test_dataloader=SimpleNamespace(sampler=sampler)
    )


@pytest.mark.parametrize(
    'metric',
    [
        PanopticQuality(),
        CocoMetric(metric='proposal'),
        CocoMetric(use_mp_eval=True),
        CocoMetric(format_only=True, outfile_prefix='x'),
    ],
    ids=['panoptic', 'proposals', 'parallel', 'no truth'],
)
def test_other_evaluators(metric, tmp_path):
    with pytest.raises(FishNetError, match=f'no page for {type(metric).__name__}: .* test without --report'):
        TestReport(runner(metric), tmp_path / 'page')
    assert not (tmp_path / 'page').exists()


@pytest.mark.parametrize('metric', [CocoMetric(metric='segm'), Accuracy()], ids=['coco', 'accuracy'])
def test_evaluators_with_a_page(metric, tmp_path):
    one = runner(metric)
    TestReport(one, tmp_path / 'page')
    assert isinstance(one.test_evaluator.metrics[1], Kept)
    with pytest.raises(FishNetError, match='shuffle=False'):
        TestReport(runner(metric, shuffle=True), tmp_path / 'page')
    (tmp_path / 'page/mine.txt').write_text('')
    with pytest.raises(FishNetError, match='mine.txt'):
        TestReport(runner(metric), tmp_path / 'page')


def test_predictions_of_segments():
    with pytest.raises(FishNetError, match='panoptic segments'):
        check_predictions(PanopticSegmentation(dict(classes=('a', 'b'))))
    check_predictions(Instances(dict(classes=('a', 'b'))))
