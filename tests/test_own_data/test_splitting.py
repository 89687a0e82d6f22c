"""The validation part that is set aside."""

import json

import pytest
from own_data import content, save

from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.own_data.layouts import find_parts
from fishnet_mmdet.own_data.parts import write_changed
from fishnet_mmdet.own_data.splitting import set_aside


def split(root, out):
    parts = find_parts(root)
    number = set_aside(parts)
    assert write_changed(parts, out) == ['train.json', 'val.json']
    return number, {name: json.loads((out / f'{name}.json').read_text()) for name in ('train', 'val')}, parts


def test_a_tenth_is_set_aside_with_its_objects(tmp_path):
    whole = content(40)
    save(tmp_path, {'a.json': whole, '': whole})
    number, files, parts = split(tmp_path, tmp_path / 'work/own_data')
    assert number == len(files['val']['images']) == 4
    for key in ('images', 'annotations'):
        both = files['train'][key] + files['val'][key]
        assert sorted(both, key=lambda one: one['id']) == whole[key]
    for name, file in files.items():
        assert {one['image_id'] for one in file['annotations']} == {one['id'] for one in file['images']}
        assert file['categories'] == whole['categories']
        assert parts[name].file.path == str(tmp_path / f'work/own_data/{name}.json') and not parts[name].changed
        assert parts[name].file.images == file['images'] and parts[name].images == tmp_path


def test_the_order_of_the_file_does_not_matter(tmp_path):
    whole = content(30)
    save(tmp_path, {'a.json': whole, '': whole})
    _, first, _ = split(tmp_path, tmp_path / 'work/own_data')
    whole['images'].reverse()
    save(tmp_path, {'a.json': whole})
    _, second, _ = split(tmp_path, tmp_path / 'work/own_data')
    names = [sorted(image['file_name'] for image in files['val']['images']) for files in (first, second)]
    assert names[0] == names[1] and len(names[0]) == 3


@pytest.mark.parametrize('images, aside', [(2, 1), (14, 1), (16, 2)])
def test_few_images(tmp_path, images, aside):
    whole = content(images)
    save(tmp_path, {'a.json': whole, '': whole})
    assert split(tmp_path, tmp_path / 'work/own_data')[0] == aside


def test_one_image_is_refused(tmp_path):
    whole = content(1)
    save(tmp_path, {'a.json': whole, '': whole})
    with pytest.raises(FishNetError, match='a.json has 1 image'):
        split(tmp_path, tmp_path / 'work/own_data')


def test_a_folder_that_cannot_be_written(tmp_path):
    whole = content(2)
    save(tmp_path, {'a.json': whole, '': whole})
    (tmp_path / 'work').write_text('a file')
    with pytest.raises(FishNetError, match='train.json cannot be written .*choose another --work-dir'):
        split(tmp_path, tmp_path / 'work/own_data')
