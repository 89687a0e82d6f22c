"""The table of what was found, and the advice about sizes."""

import re

import numpy as np
import pytest
from conftest import REPO
from mmengine.config import Config
from own_data import annotation, content, save

from fishnet_mmdet.fishify.writing import mmdet_configs
from fishnet_mmdet.own_data.classes import Classes
from fishnet_mmdet.own_data.layouts import find_parts
from fishnet_mmdet.own_data.survey import Objects, remarks, table

CLASSES = Classes(('cat', 'dog'), (7, 3))
CONFIG = REPO / 'configs/mask_rcnn_fishnet150_fpn.py'


def objects_of(root, train, val=None):
    val = val or content(2)
    save(root, {'train.json': train, 'val.json': val, 'train': train, 'val': val})
    return {name: Objects.of(part, CLASSES) for name, part in find_parts(root).items()}


def cells(text):
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if line.startswith('|')]
    return {row[0]: row[1:] for row in rows}


def with_boxes(boxes, images=4):
    """One cat for each (image, box)."""
    whole = content(images, objects=[])
    whole['annotations'] = [annotation(number, image, 7, box) for number, (image, box) in enumerate(boxes, start=1)]
    return whole


def said(objects, config=CONFIG, classes=CLASSES):
    return '\n'.join(remarks(Config.fromfile(config), objects, classes))


def test_counts(tmp_path):
    boxes = [(1, (0, 0, 31, 33)), (1, (0, 0, 32, 32)), (1, (0, 0, 95, 97)), (2, (0, 0, 96, 96))]
    train = with_boxes(boxes)
    train['annotations'][3]['category_id'] = 3
    # COCO's sizes are those of the masks.
    train['annotations'][3]['area'] = 100.0
    train['annotations'].append(dict(annotation(5, 3, 7), iscrowd=1))
    found = cells(table(objects_of(tmp_path, train), CLASSES))
    assert found == {
        '': ['train', 'val'],
        'images': ['4', '2'],
        'images without objects': ['2', '0'],
        'objects': ['4', '4'],
        'objects an image, mean (most)': ['1.0 (3)', '2.0 (2)'],
        'small objects (area < 32²)': ['2 (50 %)', '0 (0 %)'],
        'medium objects': ['2 (50 %)', '4 (100 %)'],
        'large objects (area ≥ 96²)': ['0 (0 %)', '0 (0 %)'],
        'class cat (id 7)': ['3', '2'],
        'class dog (id 3)': ['1', '2'],
    }


def test_of_many_classes_those_with_most_objects_are_named(tmp_path):
    categories = [dict(id=number, name=f'n{number}') for number in range(1, 41)]
    objects = [(1, number) for number in range(1, 41)] + [(2, 40)] * 3 + [(2, 39)]
    train = content(categories=categories, objects=objects)
    save(tmp_path, {'train.json': train, 'train': train})
    classes = Classes(tuple(one['name'] for one in categories), tuple(one['id'] for one in categories))
    found = cells(table({'train': Objects.of(find_parts(tmp_path)['train'], classes)}, classes))
    named = [name for name in found if name.startswith('class')]
    assert len(named) == 30 and named[:2] == ['class n40 (id 40)', 'class n39 (id 39)'] and '10 more classes' in found


@pytest.mark.parametrize('side, share', [(7.9, 100), (8.1, None)])
def test_objects_below_the_smallest_anchor(tmp_path, side, share):
    """Images of 200×100 are enlarged to 1333×667, 6.67 times; the smallest anchor has 32 pixels, 4.8 of the image."""
    text = said(objects_of(tmp_path, with_boxes([(1, (0, 0, side * 4.8 / 8, side * 4.8 / 8))])))
    found = re.search(r'(\d+) % of the training objects .* smallest anchor of 32 pixels', text)
    assert (int(found[1]) if found else None) == share
    if share:
        assert "--cfg-options model.rpn_head.anchor_generator.scales='[4]'" in text


def test_a_config_that_enlarges_small_images(tmp_path):
    """Images of 200×100 are enlarged 5.12 times; the smallest anchor has 16 pixels, 3.125 of the image."""
    config = REPO / 'configs/demo/mask_rcnn_fishnet150_nuclei.py'
    for number, (side, share) in enumerate([(3.1, '100 %'), (3.2, None)]):
        text = said(objects_of(tmp_path / str(number), with_boxes([(1, (0, 0, side, side))])), config)
        assert ('smallest anchor of 16 pixels' in text) == bool(share) and (not share or share in text)


def test_the_advised_scale_has_few_smaller_objects(tmp_path):
    """The advice, applied, is checked against anchors and objects that are computed here."""
    sides = np.random.RandomState(0).uniform(1, 30, 200)
    objects = objects_of(tmp_path, with_boxes([(1, (0, 0, side, side)) for side in sides]))
    (scale,) = map(int, re.findall(r"scales='\[(\d+)\]'", said(objects)))
    enlarged = sides * min(1333 / 200, 800 / 100)
    assert (enlarged < 4 * scale).mean() < 0.1 <= (enlarged < 4 * 2 * scale).mean()


@pytest.mark.parametrize(
    'name, words',
    [
        ('retinanet/retinanet_r50_fpn_1x_coco.py', "model.bbox_head.anchor_generator.octave_base_scale='1'"),
        ('ssd/ssd300_coco.py', 'larger images help'),
        ('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py', None),
        ('atss/atss_r50_fpn_1x_coco.py', None),  # its assigner needs no overlap
        ('cascade_rpn/cascade-rpn_faster-rcnn_r50-caffe_fpn_1x_coco.py', None),  # nor does that of its first stage
    ],
)
def test_advice_for_other_detectors(tmp_path, name, words):
    text = said(objects_of(tmp_path, with_boxes([(1, (0, 0, 2, 2))])), mmdet_configs() / name)
    assert words in text if words else 'anchor' not in text


def test_what_is_not_used_is_said(tmp_path):
    train = with_boxes([(1, (0, 0, 40, 40))])
    train['images'][0]['height'] = 20
    text = said(objects_of(tmp_path, train))
    assert 'no training object is of class dog' in text
    assert '3 training images without objects are not used' in text
    assert '1 training images with a side below 32 pixels are not used' in text


def test_more_objects_than_coco_counts(tmp_path):
    val = with_boxes([(1, (0, 0, 50, 50))] * 101, images=2)
    assert '1 validation images have more than 100 objects' in said(objects_of(tmp_path, content(2), val))
    assert 'more than' not in said(objects_of(tmp_path, content(2)))
