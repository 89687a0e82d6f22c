"""The classification data sets as mmengine's BaseDataset: wrappers, options, subsets, workers, and a data set of one's own."""

import copy
import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from fishnet_mmdet.datasets import ClassificationDataset, ObjectCrops, PackInputs, SampleTable
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.registry import DATASETS

CLASSES = ('ant', 'bee', 'cow')
#: Label of each image. Image i has the value 40 * i in every pixel.
LABELS = [0, 1, 1, 1, 2, 2]


def picture(number):
    return np.full((8, 8, 3), 40 * number, np.uint8)


def write_folder(root):
    for number, label in enumerate(LABELS):
        (root / 'train' / CLASSES[label]).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / 'train' / CLASSES[label] / f'{number}.png'), picture(number))
    return dict(type='ImageFolder', data_root=str(root), pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')])


def write_archive(root):
    jpegs = [cv2.imencode('.jpg', picture(number), [cv2.IMWRITE_JPEG_QUALITY, 100])[1].ravel() for number in range(6)]
    offsets = np.cumsum([0, *map(len, jpegs)])
    content = dict(train_jpeg=np.concatenate(jpegs), train_offsets=offsets, train_labels=np.array(LABELS))
    np.savez(root / 'set.npz', classes=np.array(CLASSES), **content)
    return dict(type='SmallImages', data_root=str(root / 'set.npz'), split='train', pipeline=[dict(type='PackInputs')])


def write_objects(root):
    (root / 'images').mkdir()
    for number in range(6):
        cv2.imwrite(str(root / f'images/{number}.png'), picture(number))
    content = dict(
        images=[dict(id=number, file_name=f'{number}.png') for number in range(6)],
        categories=[dict(id=9 - label, name=name) for label, name in enumerate(CLASSES)],
        annotations=[dict(image_id=n, category_id=9 - label, bbox=[2, 2, 4, 4]) for n, label in enumerate(LABELS)],
    )
    (root / 'objects.json').write_text(json.dumps(content))
    where = dict(data_root=str(root), ann_file='objects.json', data_prefix=dict(img='images/'))
    return dict(type='ObjectCrops', metainfo=dict(classes=CLASSES), pipeline=[dict(type='PackInputs')], **where)


@pytest.fixture(params=[write_folder, write_archive, write_objects], ids=lambda write: write.__name__[6:])
def config(request, tmp_path):
    """Config of a data set of six images, for each of our data sets."""
    return request.param(tmp_path)


def numbers(dataset):
    """The numbers of the images in a data set, after a check of their labels."""
    items = [dataset[index] for index in range(len(dataset))]
    found = [round(item['inputs'].float().mean().item() / 40) for item in items]
    assert all(item['inputs'].float().std() == 0 for item in items)
    assert [item['data_samples'] for item in items] == [LABELS[number] for number in found]
    return found


def test_items_and_their_types(config):
    dataset = DATASETS.build(config)
    assert numbers(dataset) == list(range(6)) and dataset.metainfo == dict(classes=CLASSES)
    item = dataset[4]
    assert set(item) == {'inputs', 'data_samples'}
    assert item['inputs'].dtype == torch.uint8 and type(item['data_samples']) is int
    info = dataset.get_data_info(4)
    assert info['gt_label'] == 2 and type(info['gt_label']) is int and info['sample_idx'] == 4
    assert [dataset.get_cat_ids(index) for index in range(6)] == [[label] for label in LABELS]


@pytest.mark.parametrize('serialize_data', [False, True])
@pytest.mark.parametrize('lazy_init', [False, True])
@pytest.mark.parametrize('as_config', [False, True])
def test_wrappers(config, serialize_data, lazy_init, as_config):
    inner = dict(config, serialize_data=serialize_data)

    def wrap(name, **kwargs):
        # mmengine's wrappers look for a config's type in its own registry, so the config needs the scope of ours.
        with DefaultScope.overwrite_default_scope('fishnet_mmdet'):
            return MMENGINE_DATASETS.build(dict(type=name, lazy_init=lazy_init, **kwargs))

    def part(**kwargs):
        return dict(inner, **kwargs) if as_config else DATASETS.build(dict(inner, **kwargs))

    repeated = wrap('RepeatDataset', dataset=part(), times=2)
    joined = wrap('ConcatDataset', datasets=[part(), part(indices=[5, 0])])
    # The repeat factor of a class of frequency f is sqrt(0.9 / f), rounded up: f is 1/6, 3/6 and 2/6.
    balanced = wrap('ClassBalancedDataset', dataset=part(), oversample_thr=0.9)
    for dataset, kind, expected in (
        (repeated, RepeatDataset, [*range(6), *range(6)]),
        (joined, ConcatDataset, [*range(6), 5, 0]),
        (balanced, ClassBalancedDataset, [0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),
    ):
        assert isinstance(dataset, kind)
        dataset.full_init()
        assert numbers(dataset) == expected
        assert dataset.metainfo['classes'] == CLASSES
        assert [dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))] == [LABELS[n] for n in expected]
    assert balanced.get_cat_ids(12) == [2]


def test_wrappers_in_wrappers(config):
    balanced = ClassBalancedDataset(DATASETS.build(config), oversample_thr=0.9)
    assert balanced.get_cat_ids(0) == [0]
    repeated = RepeatDataset(DATASETS.build(config), 2)
    assert repeated.metainfo == balanced.metainfo and len(repeated) + len(balanced) == 25


@pytest.mark.parametrize('serialize_data', [False, True])
@pytest.mark.parametrize(
    'indices, expected', [(2, [0, 1]), (-2, [4, 5]), ([5, 0, 3], [5, 0, 3]), ((1,), [1]), (100, [0, 1, 2, 3, 4, 5])]
)
def test_indices(config, serialize_data, indices, expected):
    dataset = DATASETS.build(dict(config, indices=indices, serialize_data=serialize_data))
    assert len(dataset) == len(expected) and numbers(dataset) == expected


@pytest.mark.parametrize('serialize_data', [False, True])
def test_subsets(config, serialize_data):
    dataset = DATASETS.build(dict(config, serialize_data=serialize_data))
    assert numbers(dataset.get_subset(2)) == [0, 1]
    assert numbers(dataset.get_subset([4, 1])) == [4, 1]
    assert numbers(dataset) == list(range(6))
    dataset.get_subset_(-3)
    assert numbers(dataset) == [3, 4, 5] and dataset.metainfo == dict(classes=CLASSES)
    dataset.get_subset_([2, 0])
    assert numbers(dataset) == [5, 3]
    assert numbers(copy.deepcopy(dataset)) == [5, 3]


def test_lazy_init_reads_nothing(config, tmp_path):
    missing = {**config, 'data_root': str(tmp_path / 'nowhere'), 'lazy_init': True}
    dataset = DATASETS.build(missing)
    for _ in range(2):
        with pytest.raises(FishNetError, match='nowhere'):
            dataset.full_init()
    dataset = DATASETS.build(dict(config, lazy_init=True))
    assert len(dataset) == 6
    assert numbers(dataset) == list(range(6)) and dataset.metainfo == dict(classes=CLASSES)


def skip_first(sample):
    """A transform that finds nothing to use in the first image, as random crops may."""
    return None if sample['sample_idx'] == 0 else sample


def test_test_mode(config):
    pipeline = [skip_first, *config['pipeline']]
    train = DATASETS.build(dict(config, pipeline=pipeline))
    # Training takes another image, which is a random one.
    assert train[0]['data_samples'] in LABELS
    test = DATASETS.build(dict(config, pipeline=pipeline, test_mode=True))
    assert test[1]['data_samples'] == 1
    with pytest.raises(Exception, match='should not get `None`'):
        test[0]


def test_filter_cfg_is_refused(config):
    with pytest.raises(FishNetError, match=f'{config["type"]} cannot filter samples, but filter_cfg=.*min_size'):
        DATASETS.build(dict(config, filter_cfg=dict(min_size=32)))
    assert len(DATASETS.build(dict(config, filter_cfg=dict()))) == 6


@pytest.mark.parametrize('serialize_data', [False, True])
def test_filter_of_a_subclass(tmp_path, serialize_data):
    class LargeObjects(ObjectCrops):
        def filter_data(self):
            samples = super().filter_data()
            return samples[np.flatnonzero(samples.columns['gt_label'] >= self.filter_cfg['first_label']).tolist()]

    config = dict(write_objects(tmp_path), serialize_data=serialize_data, filter_cfg=dict(first_label=1))
    config.pop('type')
    assert numbers(LargeObjects(**config)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize('serialize_data', [False, True])
def test_pickle(config, serialize_data):
    dataset = DATASETS.build(dict(config, serialize_data=serialize_data))
    again = pickle.loads(pickle.dumps(dataset))
    assert numbers(again) == list(range(6)) and again.metainfo == dataset.metainfo


@pytest.mark.parametrize('start', ['fork', 'spawn'])
def test_workers(config, start):
    dataset = DATASETS.build(config)
    batches = list(DataLoader(dataset, batch_size=4, num_workers=1, multiprocessing_context=start))
    assert torch.cat([batch['data_samples'] for batch in batches]).tolist() == LABELS
    assert [batch['inputs'].shape[0] for batch in batches] == [4, 2]
    assert batches[1]['inputs'].float().mean((1, 2, 3)).tolist() == [160, 200]


def test_samples_of_our_data_sets_are_arrays(config):
    """No Python object per sample, so that forked workers share the memory."""
    table = DATASETS.build(config).data_list
    assert isinstance(table, SampleTable) and len(table) == 6
    assert all(isinstance(column, np.ndarray) and column.dtype != object for column in table.columns.values())


def test_transforms_are_found_under_any_default_scope(config):
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(dict(config, type=f'fishnet_mmdet.{config["type"]}'))
    assert type(dataset.pipeline.transforms[-1]) is PackInputs


def test_metainfo_renames_the_classes(config):
    named = DATASETS.build(dict(config, metainfo=dict(classes=CLASSES, source='a farm')))
    assert named.metainfo == dict(classes=CLASSES, source='a farm')


def test_table():
    table = SampleTable(name=np.array([b'a', b'b', b'c']), gt_label=np.array([2, 0, 1]), box=np.arange(6).reshape(3, 2))
    assert {key: value for key, value in table[-1].items() if key != 'box'} == dict(name=b'c', gt_label=1)
    assert table[1]['box'].tolist() == [2, 3]
    assert [row['gt_label'] for row in table] == [2, 0, 1]
    assert [row['gt_label'] for row in table[1:]] == [0, 1] and [row['name'] for row in table[[2, 0]]] == [b'c', b'a']
    with pytest.raises(IndexError):
        table[3]
    table.clear()
    assert len(table) == 0 and list(table) == []


@DATASETS.register_module()
class ListedImages(ClassificationDataset):
    """The example of the documentation: images named in a text file, with one line "PATH LABEL" per image."""

    def load_data_list(self):
        lines = [line.split() for line in Path(self.ann_file).read_text().splitlines()]
        return [dict(img_path=f'{self.data_root}/{path}', gt_label=int(label)) for path, label in lines]


@pytest.fixture
def listed(tmp_path):
    """Builds the example's data set from the lines of its file."""
    for number in range(6):
        cv2.imwrite(str(tmp_path / f'{number}.png'), picture(number))

    def make(lines=None, **kwargs):
        lines = [f'{number}.png {label}' for number, label in enumerate(LABELS)] if lines is None else lines
        (tmp_path / 'list.txt').write_text('\n'.join(lines))
        config = dict(type='ListedImages', data_root=str(tmp_path), ann_file='list.txt', num_classes=3)
        config.update(pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')], metainfo=dict(classes=CLASSES))
        return DATASETS.build({**config, **kwargs})

    return make


@pytest.mark.parametrize('serialize_data', [False, True])
def test_a_data_set_of_ones_own(listed, serialize_data):
    dataset = listed(serialize_data=serialize_data)
    assert numbers(dataset) == list(range(6)) and dataset.metainfo == dict(classes=CLASSES)
    assert len(ClassBalancedDataset(dataset, oversample_thr=0.9)) == 13


@pytest.mark.parametrize(
    'lines, kwargs, words',
    [
        (['0.png 3'], {}, r'list.txt has labels from 3 to 3, but 3 classes \(ant ... cow\): labels must be 0 to 2'),
        (['0.png 0', '1.png -1'], {}, 'list.txt has labels from -1 to 0'),
        ([], {}, 'list.txt has no samples'),
        (None, dict(num_classes=5), r'list.txt has 3 classes \(ant ... cow\), but the config has num_classes=5'),
        (None, dict(metainfo=None), r'ListedImages has no class names: set metainfo=dict\(classes='),
    ],
)
def test_wrong_labels_and_classes(listed, lines, kwargs, words):
    with pytest.raises(FishNetError, match=words):
        listed(lines, **kwargs)


def test_home_folder(listed, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    assert numbers(listed(data_root='~')) == list(range(6))
