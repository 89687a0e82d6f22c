"""Numbers of classes and of detections in configs, compared with the models that they build."""

import pytest
import torch
from conftest import REPO
from mmdet.engine.hooks import NumClassCheckHook
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config

from fishnet_mmdet.engine.config_tree import walk
from fishnet_mmdet.fishify.writing import mmdet_configs
from fishnet_mmdet.own_data.heads import allow_detections, set_num_classes

#: Heads of all kinds: one- and two-stage, cascades, masks, queries, anchors and points, and losses that know the classes.
CONFIGS = [
    'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
    'detr/detr_r50_8xb2-150e_coco.py',
    'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    'mask2former/mask2former_r50_8xb2-lsj-50e_coco.py',
    'ms_rcnn/ms-rcnn_r50-caffe_fpn_1x_coco.py',
    'point_rend/point-rend_r50-caffe_fpn_ms-1x_coco.py',
    'queryinst/queryinst_r50_fpn_1x_coco.py',
    'retinanet/retinanet_r50_fpn_1x_coco.py',
    'rtmdet/rtmdet-ins_s_8xb32-300e_coco.py',
    'seesaw_loss/mask-rcnn_r50_fpn_seesaw-loss_random-ms-2x_lvis-v1.py',
    'solov2/solov2_r50_fpn_1x_coco.py',
    'yolact/yolact_r50_1xb8-55e_coco.py',
]


def config(name):
    folder = REPO / 'configs' if '/' not in name else mmdet_configs()
    return Config.fromfile(folder / name)


def numbers(model):
    return {path: value for path, value in walk(model) if path and path[-1] in ('num_classes', 'num_things_classes')}


class Runner:
    """What mmdet's check needs of a Runner."""

    def __init__(self, model, number):
        self.model = model
        self.train_dataloader = type('', (), dict(dataset=type('', (), dict(metainfo=dict(classes=('x',) * number)))))


@pytest.mark.parametrize('name', [*CONFIGS, 'mask_rcnn_fishnet150_fpn.py', 'htc_without_semantic_fishnet150_fpn.py'])
def test_every_head_of_the_built_model(name):
    register_all_modules()
    cfg = config(name)
    before = numbers(cfg.model)
    set_num_classes(cfg.model, 5)
    after = numbers(cfg.model)
    assert set(before) <= set(after)
    assert all(value == 5 for path, value in after.items() if 'rpn_head' not in path)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    NumClassCheckHook()._check_head(Runner(model, 5), 'train')
    if getattr(model, 'with_rpn', False) and hasattr(model.rpn_head, 'num_classes'):
        assert model.rpn_head.num_classes == 1


def test_a_head_that_leaves_the_number_to_its_default():
    model = dict(type='X', bbox_head=dict(type='Shared2FCBBoxHead'), rpn_head=dict(type='RPNHead'), neck=dict(type='FPN'))
    set_num_classes(model, 5)
    assert model['bbox_head']['num_classes'] == 5
    assert 'num_classes' not in model['rpn_head'] and 'num_classes' not in model['neck']


def test_weights_of_the_classes():
    """Mask2Former's loss has a weight for each class and one for the background, cross entropy may have one for each class."""
    cfg = config('mask2former/mask2former_r50_8xb2-lsj-50e_coco.py')
    set_num_classes(cfg.model, 5)
    assert cfg.model.panoptic_head.loss_cls.class_weight == [1.0] * 5 + [0.1]
    model = dict(head=dict(num_classes=3, loss=dict(class_weight=[2.0, 2.0, 2.0])))
    set_num_classes(model, 5)
    assert model['head']['loss']['class_weight'] == [2.0] * 5


@pytest.mark.parametrize(
    'name, path, objects, detections',
    [
        ('mask_rcnn_fishnet150_fpn.py', 'rcnn.max_per_img', 375, 500),
        ('mask_rcnn_fishnet150_fpn.py', 'rcnn.max_per_img', 101, 200),
        ('mask_rcnn_fishnet150_fpn.py', 'rcnn.max_per_img', 100, 100),
        ('retinanet/retinanet_r50_fpn_1x_coco.py', 'max_per_img', 375, 500),
        ('mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', 'max_per_image', 375, 100),
    ],
)
def test_number_of_detections(name, path, objects, detections):
    cfg = config(name)
    notes = '\n'.join(allow_detections(cfg.model, objects))
    value = cfg.model.test_cfg
    for key in path.split('.'):
        value = value[key]
    assert value == detections
    assert (f'{path} is {detections}, not 100' in notes) == (detections > 100)
    if 'rpn' in cfg.model.test_cfg:
        assert cfg.model.test_cfg.rpn.max_per_img == 1000


def test_queries_are_named_where_they_are_too_few():
    cfg = config('detr/detr_r50_8xb2-150e_coco.py')
    (note,) = allow_detections(cfg.model, 375)
    assert '375 objects' in note and 'can find 100' in note and 'model.num_queries' in note
    assert not list(allow_detections(cfg.model, 100))
