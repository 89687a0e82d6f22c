"""A folder of class folders as the data of a classifier."""

import os

import pytest
from conftest import REPO
from mmengine.config import Config

from fishnet_mmdet.datasets import ImageFolder
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.own_data import use_own_data

CONFIG = REPO / 'configs/classification/fishnet150_imagenet.py'


def images(folder, **classes):
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f'{number}.jpg').touch()
    return folder


def changed(data, out):
    cfg = Config.fromfile(CONFIG)
    text = use_own_data(cfg, str(data), out)
    return cfg, text


def read(cfg, key):
    """The images that the data set of a dataloader has, by class."""
    dataset = ImageFolder(**{name: value for name, value in cfg[key].dataset.items() if name not in ('type', 'pipeline')})
    found = {}
    for at in range(len(dataset)):
        info = dataset.get_data_info(at)
        found.setdefault(dataset.metainfo['classes'][info['gt_label']], set()).add(os.path.realpath(info['img_path']))
    return found


@pytest.mark.parametrize('val', ['val', 'valid', 'validation'])
def test_both_parts(tmp_path, val):
    images(tmp_path / 'data/train', cat=3, dog=2, eel=1)
    images(tmp_path / f'data/{val}', cat=1, dog=1, eel=1)
    cfg, text = changed(tmp_path / 'data', tmp_path / 'out')
    assert cfg.model.cls_head.num_classes == 3
    assert {name: len(files) for name, files in read(cfg, 'train_dataloader').items()} == dict(cat=3, dog=2, eel=1)
    for key in ('val_dataloader', 'test_dataloader'):
        assert {name: len(files) for name, files in read(cfg, key).items()} == dict(cat=1, dog=1, eel=1)
    assert '3 classes, 6 training and 3 validation images' in text and not (tmp_path / 'out').exists()


@pytest.mark.parametrize('folder', ['', 'train'])
def test_a_tenth_of_each_class_is_set_aside(tmp_path, folder):
    data = tmp_path / 'data' / folder
    images(data, cat=30, dog=4)
    cfg, text = changed(tmp_path / 'data', tmp_path / 'out')
    train, val = read(cfg, 'train_dataloader'), read(cfg, 'val_dataloader')
    assert {name: len(files) for name, files in val.items()} == dict(cat=3, dog=1)
    for name in ('cat', 'dog'):
        assert not train[name] & val[name]
        assert train[name] | val[name] == {os.path.realpath(data / name / file) for file in os.listdir(data / name)}
    assert '10 % of each class are set aside, by a fixed seed' in text
    again, _ = changed(tmp_path / 'data', tmp_path / 'out')
    assert read(again, 'val_dataloader') == val


def test_images_that_are_gone_leave_no_links(tmp_path):
    images(tmp_path / 'data', cat=30, dog=4)
    changed(tmp_path / 'data', tmp_path / 'out')
    (tmp_path / 'data/cat/7.jpg').unlink()
    cfg, _ = changed(tmp_path / 'data', tmp_path / 'out')
    both = read(cfg, 'train_dataloader')['cat'] | read(cfg, 'val_dataloader')['cat']
    assert len(both) == 29 and all(map(os.path.exists, both))


@pytest.mark.parametrize(
    'parts, message',
    [
        (dict(), 'has no layout that --data knows for a classifier\n.*/train/CLASS/'),
        (dict(cat=3), 'has no layout'),
        ({'cat': 3, 'dog': 0}, 'has no layout'),
        ({'cat': 1, 'dog': 3}, 'cat has 1 image, and training needs two'),
        ({'val/cat': 1, 'val/dog': 1}, 'has no layout'),
        ({'train/cat': 1, 'train/dog': 1, 'val/cat': 1, 'val/eel': 1}, 'must have the same class folders, .* dog, eel'),
    ],
)
def test_other_layouts(tmp_path, parts, message):
    (tmp_path / 'data').mkdir()
    images(tmp_path / 'data', **parts)
    with pytest.raises(FishNetError, match=f'(?s){message}'):
        changed(tmp_path / 'data', tmp_path / 'out')


def test_a_config_for_other_data(tmp_path):
    cfg = Config.fromfile(REPO / 'configs/classification/fishnet55_cifar10.py')
    with pytest.raises(FishNetError, match='fishnet55_cifar10.py reads SmallImages: use a config for images in folders'):
        use_own_data(cfg, str(images(tmp_path, cat=3, dog=3)), tmp_path / 'out')
