"""An evaluator must read the annotation file of its data set."""

import pytest
from conftest import REPO
from mmengine.config import Config

from fishnet_mmdet.engine.evaluator_files import check_evaluator_files
from fishnet_mmdet.errors import FishNetError

KEYS = ['val_dataloader', 'test_dataloader']


def config(file, evaluators):
    dataset = dict(type='CocoDataset', data_root='data', ann_file=file)
    return Config(dict(val_dataloader=dict(dataset=dataset), val_evaluator=evaluators))


@pytest.mark.parametrize(
    'evaluators',
    [
        dict(type='CocoMetric', ann_file='data/val.json'),
        dict(type='CocoMetric', ann_file='data/../data//val.json'),
        dict(type='CocoMetric'),
        [dict(type='VOCMetric'), dict(type='CocoMetric', ann_file='data/val.json')],
        dict(type='CocoMetric', ann_file='s3://val.json'),
    ],
)
def test_the_same_file(evaluators):
    check_evaluator_files(config('val.json', evaluators), KEYS)


@pytest.mark.parametrize('wrap', [lambda one: one, lambda one: [dict(type='VOCMetric'), one]])
def test_another_file(wrap):
    cfg = config('val.json', wrap(dict(type='CocoMetric', ann_file='data/coco/annotations/instances_val2017.json')))
    with pytest.raises(FishNetError) as error:
        check_evaluator_files(cfg, KEYS)
    for words in ('val_evaluator.ann_file is data/coco/annotations/instances_val2017.json', 'reads data/val.json', 'set both'):
        assert words in str(error.value)


@pytest.mark.parametrize(
    'name', ['mask_rcnn_fishnet150_fpn', 'panoptic_fpn_fishnet150_fpn', 'demo/mask_rcnn_fishnet150_shapes']
)
def test_configs_of_this_repository(name):
    check_evaluator_files(Config.fromfile(REPO / f'configs/{name}.py'), KEYS)
