"""What --data changes in configs of detectors, what it keeps, and which configs and data it refuses."""

import json

import pytest
from conftest import REPO
from mmengine.config import Config
from own_data import content, save

from fishnet_mmdet.engine.config_tree import dicts_in
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.fishify.writing import mmdet_configs
from fishnet_mmdet.own_data import use_own_data

DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def config(name):
    folder = mmdet_configs() if name.count('/') == 1 and not name.startswith('scratch') else REPO / 'configs'
    return Config.fromfile(folder / name)


@pytest.fixture
def data(tmp_path):
    """A data set of three parts."""
    parts = dict(train=content(4), val=content(2), test=content(3))
    files = {f'annotations/instances_{name}2024.json': part for name, part in parts.items()}
    return save(tmp_path / 'data', {**files, **{f'{name}2024': part for name, part in parts.items()}})


def changed(name, data):
    cfg = config(name)
    text = use_own_data(cfg, str(data), data.parent / 'out')
    return cfg, text


def innermost(dataset):
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset


@pytest.mark.parametrize(
    'name',
    [
        'mask_rcnn_fishnet150_fpn.py',
        'retinanet/retinanet_r50_fpn_1x_coco.py',
        'rtmdet/rtmdet_s_8xb32-300e_coco.py',
        'yolox/yolox_s_8xb8-300e_coco.py',  # wrapped for mosaics
        'lvis/mask-rcnn_r50_fpn_sample1e-3_ms-2x_lvis-v0.5.py',  # wrapped, another type and evaluator
        'pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py',  # two data sets in a row, XML
        'cityscapes/mask-rcnn_r50_fpn_1x_cityscapes.py',  # two evaluators
        'openimages/retinanet_r50_fpn_32xb2-1x_openimages.py',
    ],
)
def test_data_sets_and_evaluators(data, name):
    before = config(name)
    cfg, _ = changed(name, data)
    for key, part in zip(DATALOADERS, ('train', 'val', 'test')):
        dataset = innermost(cfg[key].dataset)
        assert dataset.type == 'CocoDataset'
        assert dataset.data_root == f'{data}/'
        assert dataset.ann_file == f'annotations/instances_{part}2024.json'
        assert dataset.data_prefix == dict(img=f'{part}2024/')
        assert dataset.metainfo == dict(classes=('cat', 'dog'))
        old = before[key].dataset
        while old.get('datasets') or old.get('dataset'):
            old = old['datasets'][0] if old.get('datasets') else old['dataset']
        for setting in ('pipeline', 'filter_cfg', 'test_mode'):
            assert dataset.get(setting) == old.get(setting)
    masks = 'mask' in name
    for key, part in (('val_evaluator', 'val'), ('test_evaluator', 'test')):
        assert cfg[key].type == 'CocoMetric' and cfg[key].metric == (['bbox', 'segm'] if masks else 'bbox')
        assert cfg[key].ann_file == f'{data}/annotations/instances_{part}2024.json'
    assert cfg.data_root == f'{data}/'


def test_wrappers_are_kept(data):
    cfg, _ = changed('lvis/mask-rcnn_r50_fpn_sample1e-3_ms-2x_lvis-v0.5.py', data)
    assert cfg.train_dataloader.dataset.type == 'ClassBalancedDataset'
    assert cfg.train_dataloader.dataset.oversample_thr == 1e-3
    cfg, _ = changed('yolox/yolox_s_8xb8-300e_coco.py', data)
    assert cfg.train_dataloader.dataset.type == 'MultiImageMixDataset'


def test_settings_of_the_evaluator_are_kept(data):
    cfg = config('retinanet/retinanet_r50_fpn_1x_coco.py')
    cfg.test_evaluator.update(classwise=True, outfile_prefix='out', format_only=True)
    use_own_data(cfg, str(data), data.parent / 'out')
    assert cfg.test_evaluator.classwise and not cfg.test_evaluator.format_only
    assert 'outfile_prefix' not in cfg.test_evaluator and 'classwise' not in cfg.val_evaluator


def test_another_metric_is_said(data):
    _, text = changed('pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py', data)
    assert text.count('the metric is CocoMetric, not VOCMetric') == 1


def test_without_a_test_part_the_validation_part_is_tested(data):
    (data / 'annotations/instances_test2024.json').unlink()
    cfg, _ = changed('mask_rcnn_fishnet150_fpn.py', data)
    assert cfg.test_dataloader.dataset == cfg.val_dataloader.dataset
    assert cfg.test_evaluator == cfg.val_evaluator


def test_a_part_that_is_set_aside_lies_in_the_work_dir(tmp_path):
    whole = content(20)
    data = save(tmp_path / 'data', {'cells.json': whole, 'images': whole})
    cfg, text = changed('mask_rcnn_fishnet150_fpn.py', data)
    assert '2 of its images (10 %) are set aside, by a fixed seed' in text
    assert f'the annotations that this run reads are train.json and val.json in {tmp_path}/out' in text
    for key, part in zip(DATALOADERS, ('train', 'val', 'val')):
        dataset = cfg[key].dataset
        assert (dataset.ann_file, dataset.data_prefix.img) == (f'{tmp_path}/out/{part}.json', 'images/')
    assert cfg.val_evaluator.ann_file == f'{tmp_path}/out/val.json'


def test_remote_storage_is_not_kept(data):
    cfg = config('retinanet/retinanet_r50_fpn_1x_coco.py')
    for key in DATALOADERS:
        cfg[key].dataset.update(backend_args=dict(backend='petrel'))
        cfg[key].dataset.pipeline[0].backend_args = dict(backend='petrel')
    use_own_data(cfg, str(data), data.parent / 'out')
    assert not any(part.get('backend_args') for key in DATALOADERS for part in dicts_in(cfg[key]))


def without_masks(data):
    for file in data.glob('annotations/*.json'):
        boxes = json.loads(file.read_text())
        for one in boxes['annotations']:
            one['segmentation'] = []
        file.write_text(json.dumps(boxes))
    return data


@pytest.mark.parametrize(
    'name, other',
    [
        ('mask_rcnn_fishnet150_fpn.py', 'configs/faster_rcnn_fishnet150_fpn.py'),
        ('mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'),
        ('cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py', 'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py'),
        ('rtmdet/rtmdet-ins_s_8xb32-300e_coco.py', 'rtmdet/rtmdet_s_8xb32-300e_coco.py'),
        ('solov2/solov2_r50_fpn_1x_coco.py', 'such as configs/faster_rcnn_fishnet150_fpn.py'),
    ],
)
def test_boxes_without_masks(data, name, other):
    with pytest.raises(FishNetError) as error:
        changed(name, without_masks(data))
    for words in ('have boxes but no masks (segmentation)', 'learns masks: use a detector of boxes, ', other):
        assert words in str(error.value)


def test_boxes_are_enough_for_a_detector_of_boxes(data):
    cfg, _ = changed('faster_rcnn_fishnet150_fpn.py', without_masks(data))
    assert cfg.val_evaluator.metric == 'bbox'


def test_masks_from_boxes_are_evaluated_as_boxes(data):
    cfg, text = changed('boxinst/boxinst_r50_fpn_ms-90k_coco.py', without_masks(data))
    assert cfg.val_evaluator.metric == 'bbox' and 'only boxes are evaluated' in text


@pytest.mark.parametrize(
    'name, message',
    [
        ('panoptic_fpn_fishnet150_fpn.py', 'is a panoptic model, which needs panoptic annotations'),
        ('htc_fishnet150_fpn.py', 'trains on semantic maps too, .* configs/htc_without_semantic_fishnet150_fpn.py'),
        ('fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py', 'trains on proposals from a file'),
        ('soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py', 'needs unlabelled images too'),
        ('lad/lad_r50-paa-r101_fpn_2xb8_coco_1x.py', 'learns from a teacher with its own classes'),
        ('sort/sort_faster-rcnn_r50_fpn_8xb2-4e_mot17halftrain_test-mot17halfval.py', 'nothing to replace|MOTChallenge'),
    ],
)
def test_configs_that_need_other_data(data, name, message):
    with pytest.raises(FishNetError, match=message):
        changed(name, data)
