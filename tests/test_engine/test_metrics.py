import pytest
from mmengine.config import Config

from fishnet_mmdet.engine.metrics import choose_metrics, predicts_masks
from fishnet_mmdet.errors import FishNetError

MASKS = dict(type='MaskRCNN', roi_head=dict(mask_head=dict(type='FCNMaskHead')))
BOXES = dict(type='FasterRCNN', roi_head=dict(mask_head=None))


def config(model, evaluator=None):
    return Config(dict(model=model, test_evaluator=evaluator or dict(type='CocoMetric', metric=['bbox', 'segm'])))


def test_metrics_are_set():
    cfg = config(MASKS)
    choose_metrics(cfg, ['segm'])
    assert cfg.test_evaluator.metric == ['segm']


def test_every_coco_evaluator_is_set_and_others_are_left():
    cfg = config(MASKS, [dict(type='CocoMetric', metric='bbox'), dict(type='CocoPanopticMetric')])
    choose_metrics(cfg, ['bbox', 'segm'])
    assert cfg.test_evaluator == [dict(type='CocoMetric', metric=['bbox', 'segm']), dict(type='CocoPanopticMetric')]


@pytest.mark.parametrize('evaluator', ['fishnet_mmdet.PanopticQuality', 'CocoPanopticMetric'])
def test_panoptic_quality_is_its_evaluators_only_metric(evaluator):
    cfg = config(MASKS, dict(type=evaluator))
    choose_metrics(cfg, ['PQ'])
    assert cfg.test_evaluator == dict(type=evaluator)


def test_augmentation_keeps_the_metrics_of_boxes():
    cfg = config(MASKS)
    choose_metrics(cfg, None, tta=True)
    assert cfg.test_evaluator.metric == ['bbox']


@pytest.mark.parametrize(
    'cfg, metrics, tta, words',
    [
        (config(MASKS), ['bbox', 'top1'], False, 'does not know top1: use one or more of bbox, segm'),
        (config(BOXES), ['segm'], False, 'FasterRCNN does not predict them: use --eval bbox'),
        (config(MASKS), ['segm'], True, 'does not work with --tta'),
        (config(MASKS, dict(type='VOCMetric')), ['bbox'], False, 'CocoMetric'),
        (config(MASKS), ['PQ'], False, 'does not know PQ: use one or more of bbox, segm'),
        (config(MASKS, dict(type='fishnet_mmdet.PanopticQuality')), ['PQ', 'bbox'], False, 'CocoMetric'),
    ],
)
def test_what_cannot_be_had_is_refused(cfg, metrics, tta, words):
    with pytest.raises(FishNetError, match=words):
        choose_metrics(cfg, metrics, tta)


@pytest.mark.parametrize(
    'name, masks',
    [
        ('mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', True),
        ('htc/htc_r50_fpn_1x_coco.py', True),
        ('solov2/solov2_r50_fpn_1x_coco.py', True),
        ('mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', True),
        ('rtmdet/rtmdet-ins_s_8xb32-300e_coco.py', True),
        ('faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', False),
        ('retinanet/retinanet_r50_fpn_1x_coco.py', False),
        ('detr/detr_r50_8xb2-150e_coco.py', False),
        ('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py', False),
    ],
)
def test_mmdets_models_that_predict_masks(name, masks, tmp_path):
    file = tmp_path / 'config.py'
    file.write_text(f"_base_ = 'mmdet::{name}'")
    assert bool(predicts_masks(Config.fromfile(file))) == masks
