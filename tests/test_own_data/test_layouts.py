"""Where --data finds annotations and images, and what it says of other folders."""

import json

import pytest
from own_data import content, save

from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.own_data.layouts import find_parts

TRAIN, VAL, TEST = content(4), content(2), content(3)
EMPTY = content(3, objects=[])


def found(root):
    return {
        name: (part.file.path[len(f'{root}/') :], str(part.images.relative_to(root)), len(part.file.images))
        for name, part in find_parts(root).items()
    }


@pytest.mark.parametrize('year', ['2017', '2014', '', '_A'])
@pytest.mark.parametrize('images', ['', 'images/'])
@pytest.mark.parametrize('annotations', ['annotations/', ''])
def test_cocos_layout(tmp_path, year, images, annotations):
    save(
        tmp_path,
        {
            f'{annotations}instances_train{year}.json': TRAIN,
            f'{annotations}instances_val{year}.json': VAL,
            f'{annotations}captions_val{year}.json': [],
            f'{images}train{year}': TRAIN,
            f'{images}val{year}': VAL,
        },
    )
    assert found(tmp_path) == dict(
        train=(f'{annotations}instances_train{year}.json', f'{images}train{year}', 4),
        val=(f'{annotations}instances_val{year}.json', f'{images}val{year}', 2),
    )


@pytest.mark.parametrize('val', ['valid', 'val'])
def test_roboflows_layout(tmp_path, val):
    name = '_annotations.coco.json'
    save(
        tmp_path,
        {f'train/{name}': TRAIN, f'{val}/{name}': VAL, f'test/{name}': TEST, 'train': TRAIN, val: VAL, 'test': TEST},
    )
    assert found(tmp_path) == dict(
        train=(f'train/{name}', 'train', 4), val=(f'{val}/{name}', val, 2), test=(f'test/{name}', 'test', 3)
    )


@pytest.mark.parametrize(
    'files, annotations, images',
    [
        ({'cells.json': TRAIN, 'images': TRAIN}, 'cells.json', 'images'),
        ({'cells.json': TRAIN, '': TRAIN}, 'cells.json', '.'),
        ({'labels.json': TRAIN, 'data': TRAIN}, 'labels.json', 'data'),
        ({'annotations/result.json': TRAIN, 'images': TRAIN}, 'annotations/result.json', 'images'),
        ({'instances_default.json': TRAIN, 'images/default': TRAIN}, 'instances_default.json', 'images/default'),
        ({'result.json': content(4, prefix='images/'), '': content(4, prefix='images/')}, 'result.json', '.'),
        ({'train/_annotations.coco.json': TRAIN, 'train': TRAIN}, 'train/_annotations.coco.json', 'train'),
    ],
)  # fmt: skip
def test_one_annotation_file(tmp_path, files, annotations, images):
    assert found(save(tmp_path, files)) == dict(train=(annotations, images, 4))


def test_a_test_part_without_objects_is_left_out(tmp_path):
    save(tmp_path, {'train.json': TRAIN, 'val.json': VAL, 'test.json': EMPTY, 'train': TRAIN, 'val': VAL, 'test': EMPTY})
    assert list(find_parts(tmp_path)) == ['train', 'val']


@pytest.mark.parametrize(
    'files, message',
    [
        ({'images': TRAIN}, 'it holds images/ and no JSON file'),
        ({}, 'it is empty'),
        ({'a.json': TRAIN, 'b.json': TRAIN, '': TRAIN}, 'its JSON files are a.json, b.json'),
        ({'instances_val2017.json': VAL, 'val2017': VAL}, 'its JSON files are instances_val2017.json'),
    ],
)
def test_other_layouts(tmp_path, files, message):
    with pytest.raises(FishNetError) as error:
        find_parts(save(tmp_path, files))
    for words in (message, 'instances_train2017.json', 'train/_annotations.coco.json', 'ANNOTATIONS.json'):
        assert words in str(error.value)


def test_two_files_for_one_part(tmp_path):
    save(tmp_path, {'instances_train2014.json': TRAIN, 'instances_train2017.json': TRAIN, 'train2017': TRAIN})
    with pytest.raises(FishNetError, match='several annotation files for train: .*2014.json, .*2017.json; move all but one'):
        find_parts(tmp_path)


def test_missing_images(tmp_path):
    save(tmp_path, {'cells.json': TRAIN, 'images': TRAIN})
    (tmp_path / 'images/3.jpg').unlink()
    with pytest.raises(FishNetError, match='1 of the 4 images of .*cells.json are missing in .*images: 3.jpg; copy them'):
        find_parts(tmp_path)
    (tmp_path / 'images/1.jpg').unlink()
    with pytest.raises(FishNetError, match='1.jpg, the first image of .*cells.json, is in none of .*images'):
        find_parts(tmp_path)


def test_no_folder_and_no_images(tmp_path):
    with pytest.raises(FishNetError, match='nowhere is not a folder'):
        find_parts(tmp_path / 'nowhere')
    (tmp_path / 'a.json').write_text(json.dumps(content(0)))
    with pytest.raises(FishNetError, match='a.json lists no images'):
        find_parts(tmp_path)
