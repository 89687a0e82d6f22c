"""Objects cut out of a detection set, on images whose pixels tell where they are."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.fileio import BaseStorageBackend, register_backend

from fishnet_mmdet.engine.hooks import watch_images
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.registry import DATASETS

CLASSES = ('cat', 'dog')
HEIGHT, WIDTH = 40, 60


def coordinates(height=HEIGHT, width=WIDTH, blue=0):
    """An image with its columns in green and its rows in red."""
    image = np.full((height, width, 3), blue, np.uint8)
    image[..., 1], image[..., 2] = np.meshgrid(np.arange(width), np.arange(height))
    return image


def annotation(image, category, box, **more):
    return dict(image_id=image, category_id=category, bbox=box, area=box[2] * box[3], **more)


@pytest.fixture
def make(tmp_path):
    """Writes two images and some annotations, and builds the data set."""

    def make_(annotations, pipeline=(), classes=CLASSES, **kwargs):
        (tmp_path / 'images').mkdir(exist_ok=True)
        names = {}
        for number in (1, 2):
            cv2.imwrite(str(tmp_path / f'images/{number}.png'), coordinates(blue=number))
        names = [dict(id=number, file_name=f'{number}.png', height=HEIGHT, width=WIDTH) for number in (1, 2)]
        # Ids are not in the order of the labels, and there is a class that is not asked for.
        categories = [dict(id=7, name='dog'), dict(id=3, name='cat'), dict(id=9, name='bird')]
        content = dict(images=names, categories=categories, annotations=annotations)
        (tmp_path / 'objects.json').write_text(json.dumps(content))
        config = dict(type='ObjectCrops', ann_file='objects.json', data_prefix=dict(img='images/'), pipeline=pipeline)
        return DATASETS.build({**config, 'data_root': f'{tmp_path}/', 'metainfo': dict(classes=classes), **kwargs})

    return make_


@pytest.mark.parametrize(
    'box, context, left, top, side',
    [
        ([20, 10, 10, 10], 1.0, 20, 10, 10),
        ([20, 10, 10, 10], 2.0, 15, 5, 20),
        # The square is as long as the longer side, and has the box in its middle.
        ([20, 16, 12, 4], 1.0, 20, 12, 12),
        ([30, 10, 4, 16], 1.5, 20, 6, 24),
        ([25.4, 14.6, 8, 6], 1.5, 23, 12, 12),
    ],
)
def test_crops_around_the_box(make, box, context, left, top, side):
    dataset = make([annotation(2, 3, box)], context=context)
    image = dataset[0]['img']
    np.testing.assert_array_equal(image, coordinates(blue=2)[top : top + side, left : left + side])
    assert image.shape == (side, side, 3)


def test_context_by_default(make):
    assert make([annotation(1, 3, [20, 10, 10, 8])])[0]['img'].shape == (15, 15, 3)


@pytest.mark.parametrize(
    'box, columns, rows',
    [
        ([0, 0, 4, 4], [0, 0, 0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 2, 3, 4, 5]),
        ([56, 36, 4, 4], [54, 55, 56, 57, 58, 59, 59, 59], [34, 35, 36, 37, 38, 39, 39, 39]),
        ([0, 20, 4, 4], [0, 0, 0, 1, 2, 3, 4, 5], [18, 19, 20, 21, 22, 23, 24, 25]),
    ],
)
def test_the_border_is_repeated(make, box, columns, rows):
    image = make([annotation(1, 3, box)], context=2.0)[0]['img']
    assert image[..., 1].tolist() == [columns] * 8
    assert image[..., 2].T.tolist() == [rows] * 8


def test_a_square_larger_than_the_image(make):
    image = make([annotation(1, 3, [0, 0, WIDTH, HEIGHT])], context=2.0)[0]['img']
    assert image.shape == (120, 120, 3)
    assert image[0, 0].tolist() == [1, 0, 0] and image[-1, -1].tolist() == [1, WIDTH - 1, HEIGHT - 1]


def test_labels_are_the_places_of_the_names(make):
    box = [20, 10, 10, 10]
    dataset = make([annotation(1, 7, box), annotation(2, 3, box), annotation(1, 9, box), annotation(1, 3, box)])
    assert dataset.metainfo == dict(classes=CLASSES)
    assert [dataset[i]['gt_label'] for i in range(len(dataset))] == [1, 0, 0]
    assert [dataset[i]['img'][0, 0, 0] for i in range(3)] == [1, 2, 1]


def test_crowds_and_specks_are_left_out(make):
    boxes = [annotation(1, 3, [20, 10, 10, 10], iscrowd=1), annotation(1, 7, [20, 10, 10, 10], iscrowd=0)]
    boxes += [annotation(1, 3, [20, 10, 0, 10]), annotation(1, 3, [20, 10, 10, 0.5]), annotation(1, 3, [20, 10, 1, 1])]
    dataset = make(boxes)
    assert [dataset[i]['gt_label'] for i in range(len(dataset))] == [1, 0]
    assert dataset[1]['img'].shape[:2] == (2, 2)


def test_pipeline(make):
    pipeline = [dict(type='Resize', scale=(16, 16)), dict(type='PackInputs')]
    item = make([annotation(1, 7, [20, 10, 10, 10])], pipeline)[0]
    assert item['inputs'].shape == (3, 16, 16) and item['data_samples'] == 1
    assert (item['inputs'][0] == 1).all()


def test_no_objects(make):
    with pytest.raises(FishNetError, match=r'objects.json has no objects of the classes cat, dog'):
        make([annotation(1, 9, [20, 10, 10, 10]), annotation(1, 3, [20, 10, 10, 10], iscrowd=1)])


def test_a_class_that_the_file_lacks(make):
    with pytest.raises(FishNetError, match=r'objects.json has no class cow: its classes are dog, cat, bird'):
        make([annotation(1, 3, [20, 10, 10, 10])], classes=('cat', 'cow'))


@pytest.mark.parametrize('content', ['{"images": []', '[]', '{"images": [], "categories": [{"id": 1}]}'])
def test_a_file_of_another_format(make, tmp_path, content):
    (tmp_path / 'other.json').write_text(content)
    with pytest.raises(FishNetError, match=f'{tmp_path}/other.json is (truncated|not in COCO.s format)'):
        make([], ann_file='other.json')


def test_number_of_classes(make):
    with pytest.raises(FishNetError, match=r'objects.json has 2 classes \(cat ... dog\), but the config has num_classes=3'):
        make([annotation(1, 3, [20, 10, 10, 10])], num_classes=3)


class Bucket(BaseStorageBackend):
    """A storage whose paths do not exist on the local disk."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def get(self, filepath):
        return (self.folder / filepath).read_bytes()

    def get_text(self, filepath, encoding='utf-8'):
        return self.get(filepath).decode(encoding)

    def join_path(self, filepath, *filepaths):
        return '/'.join([filepath.rstrip('/'), *filepaths])


def test_files_from_a_storage_backend(make, tmp_path):
    boxes = [annotation(2, 3, [20, 10, 10, 10])]
    expected = make(boxes)[0]['img']
    register_backend('bucket', Bucket, force=True)
    (tmp_path / 'stored/bucket').mkdir(parents=True)
    for name in ('images', 'objects.json'):
        (tmp_path / name).rename(tmp_path / 'stored/bucket' / name)
    backend_args = dict(backend='bucket', folder=str(tmp_path / 'stored'))
    config = dict(type='ObjectCrops', ann_file='objects.json', data_prefix=dict(img='images/'), backend_args=backend_args)
    dataset = DATASETS.build(dict(config, data_root='bucket/', metainfo=dict(classes=CLASSES)))
    np.testing.assert_array_equal(dataset[0]['img'], expected)


def test_no_annotations(make, tmp_path):
    with pytest.raises(FishNetError, match=f'there is no annotation file {tmp_path}/nowhere.json'):
        make([], ann_file='nowhere.json')


BROKEN = {None: 'is missing', b'': 'has no bytes', b'no image': 'cannot be decoded'}


@pytest.mark.parametrize('broken', BROKEN)
def test_broken_image(make, tmp_path, broken, mmengine_log):
    dataset = make([annotation(2, 3, [20, 10, 10, 10]), annotation(1, 3, [20, 10, 10, 10])])
    file = tmp_path / 'images/2.png'
    if broken is None:
        file.unlink()
    else:
        file.write_bytes(broken)
    with pytest.raises(FishNetError, match=f'the image {file} {BROKEN[broken]}'):
        dataset[0]
    # Training takes another object.
    watch_images(dataset, skip=True)
    np.testing.assert_array_equal(dataset[0]['img'], dataset[1]['img'])
    assert f'The image {file} {BROKEN[broken]}: skipped' in mmengine_log.text


@pytest.mark.parametrize(
    'changes, words',
    [
        (dict(image_id=9), 'belong to no image'),
        (dict(category_id=77), 'belong to no category'),
        (dict(bbox=[1, 2, 3]), 'have no bbox of four finite numbers'),
        (dict(bbox=[float('nan'), 2, 3, 4]), 'have no bbox of four finite numbers'),
        (dict(bbox=[20, 10, -5, -5]), 'have a box of negative width or height'),
        (dict(bbox=[200, 10, 5, 5]), 'have a box outside the image'),
        (dict(iscrowd='no'), 'have an iscrowd other than 0 and 1'),
    ],
)
def test_faulty_annotations_are_skipped_and_counted(make, mmengine_log, changes, words):
    good, bad = annotation(2, 3, [20, 10, 10, 10]), annotation(2, 3, [2, 2, 9, 9])
    bad.update(changes)
    dataset = make([bad, good])
    assert len(dataset) == 1 and dataset.get_data_info(0)['bbox'].tolist() == good['bbox']
    assert f'1 of 2 annotations {words}' in mmengine_log.text


def test_ids_that_are_texts(make):
    with pytest.raises(FishNetError, match='1 of 1 annotations have a text as id, image_id or category_id'):
        make([annotation('2', 3, [20, 10, 10, 10])])


def test_background_is_a_class_of_its_own(make):
    boxes = [[4, 4, 8, 8], [40, 10, 10, 14], [20, 20, 6, 6]]
    objects = [annotation(1, 3, box) for box in boxes] + [annotation(2, 3, [0, 0, 60, 40])]
    dataset = make(objects, classes=('cat', 'background'), background='background', context=1.0)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [info['gt_label'] for info in infos[:4]] == [0] * 4
    background = infos[4:]
    # The second image has no place without an object.
    assert [info['gt_label'] for info in background] == [1] * 3
    assert all(info['img_path'].endswith('1.png') for info in background)
    for info, (_, _, width, height) in zip(background, boxes):
        x, y, w, h = info['bbox']
        assert (w, h) == (width, height)
        middle = np.array([x + w / 2, y + h / 2])
        assert (0 <= middle).all() and (middle < [WIDTH, HEIGHT]).all()
        for left, top, width, height in boxes:
            assert not (left <= middle[0] <= left + width and top <= middle[1] <= top + height)
    again = make(objects, classes=('cat', 'background'), background='background', context=1.0)
    np.testing.assert_array_equal(again.get_data_info(5)['bbox'], infos[5]['bbox'])


def test_crowded_images_do_not_outweigh_the_others(make):
    objects = [annotation(1, 3, [x, 5, 4, 4]) for x in range(10)] + [
        annotation(1, 7, [30, 20, 5, 5]),
        annotation(2, 3, [1, 1, 9, 9]),
    ]
    dataset = make(objects, per_image=4)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    first = [info['bbox'][0] for info in infos if info['img_path'].endswith('1.png') and info['gt_label'] == 0]
    assert first == [0, 2, 5, 7]
    assert [info['gt_label'] for info in infos] == [0] * 4 + [1, 0]
