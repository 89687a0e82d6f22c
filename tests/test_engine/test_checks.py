"""What is looked at before a run begins."""

import json

import pytest
from conftest import REPO
from mmengine.config import Config

from fishnet_mmdet.engine.checks import check_data
from fishnet_mmdet.engine.configs import move_data
from fishnet_mmdet.errors import FishNetError


@pytest.fixture
def small():
    return Config.fromfile(REPO / 'configs/classification/fishnet55_cifar10.py')


@pytest.fixture
def imagenet():
    return Config.fromfile(REPO / 'configs/classification/fishnet150_imagenet.py')


def test_sets_that_check_themselves_are_left_to_do_so(small, imagenet):
    for cfg in (small, imagenet):
        move_data(cfg, '/nowhere')
        check_data(cfg, ['train_dataloader', 'val_dataloader'])


def test_segmentation_maps_are_asked_for_only_where_they_are_read(tmp_path):
    (tmp_path / 'images').mkdir()
    categories = [dict(id=1, name='cat')]
    annotations = [dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 9, 9], area=81)]
    images = [dict(id=1, file_name='1.png', height=40, width=60)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (tmp_path / 'instances.json').write_text(json.dumps(content))
    dataset = dict(
        type='CocoDataset',
        data_root=str(tmp_path),
        ann_file='instances.json',
        data_prefix=dict(img='images/', seg='panoptic/'),
        metainfo=dict(classes=('cat',)),
        pipeline=[dict(type='LoadAnnotations', with_bbox=True)],
    )
    check_data(Config(dict(train_dataloader=dict(dataset=dataset))), ['train_dataloader'])

    dataset['pipeline'][0]['with_seg'] = True
    with pytest.raises(FishNetError, match=f'missing: {tmp_path}/panoptic/'):
        check_data(Config(dict(train_dataloader=dict(dataset=dataset))), ['train_dataloader'])
    dataset.update(type='CocoPanopticDataset', pipeline=[dict(type='LoadPanopticAnnotations')])
    with pytest.raises(FishNetError, match=f'missing: {tmp_path}/panoptic/'):
        check_data(Config(dict(train_dataloader=dict(dataset=dataset))), ['train_dataloader'])


def test_data_of_another_storage_backend_is_not_looked_for(tmp_path):
    dataset = dict(
        type='CocoDataset',
        data_root='data/nowhere/',
        ann_file='instances.json',
        data_prefix=dict(img='images/'),
        pipeline=[dict(type='LoadImageFromFile', backend_args=dict(backend='petrel'))],
    )
    check_data(Config(dict(train_dataloader=dict(dataset=dataset))), ['train_dataloader'])
    dataset['pipeline'][0]['backend_args'] = dict(backend='local')
    with pytest.raises(FishNetError, match='data/nowhere/instances.json does not exist'):
        check_data(Config(dict(train_dataloader=dict(dataset=dataset))), ['train_dataloader'])
