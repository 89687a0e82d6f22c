"""The demo's images: how they are chosen, and that those in the repository are whole and are that choice."""

import json
import os
from collections import Counter

import cv2
import numpy as np
import pytest
from conftest import REPO
from pycocotools import mask as coco_mask

from fishnet_mmdet.commands.choose_nuclei import main
from fishnet_mmdet.datasets.nuclei import BRIGHT_FIELD, FLUORESCENCE, STAINED, choose_nuclei, kind_of
from fishnet_mmdet.errors import FishNetError

DEMO = REPO / 'demo/nuclei'
#: Backgrounds and nuclei, BGR.
COLOURS = {
    FLUORESCENCE: ((5, 5, 5), (120, 120, 120)),
    STAINED: ((210, 180, 190), (150, 40, 90)),
    BRIGHT_FIELD: ((225, 225, 225), (60, 60, 60)),
}


def picture(kind, side=64):
    background, nucleus = COLOURS[kind]
    image = np.full((side, side, 3), background, np.uint8)
    cv2.circle(image, (20, 30), 8, nucleus, -1)
    return image


@pytest.fixture
def source(tmp_path):
    """A whole data set of 20 training and 10 validation images, whose number of nuclei is the number of the image."""
    kinds = [FLUORESCENCE] * 6 + [STAINED] * 3 + [BRIGHT_FIELD]
    for split, count in (('train', 20), ('val', 10)):
        (tmp_path / 'whole' / split).mkdir(parents=True)
        images, annotations = [], []
        for number in range(count):
            name = f'{split}{number}.jpg'
            cv2.imwrite(str(tmp_path / 'whole' / split / name), picture(kinds[number % 10]))
            images.append(dict(id=number + 5, file_name=name, height=64, width=64))
            nucleus = dict(image_id=number + 5, category_id=1, bbox=[12, 22, 17, 17], area=200, iscrowd=0)
            annotations += [dict(nucleus, id=1000 + len(annotations) + i) for i in range(number + 1)]
        content = dict(images=images, annotations=annotations, categories=[dict(id=1, name='nucleus')])
        (tmp_path / 'whole' / f'instances_{split}.json').write_text(json.dumps(content))
    return tmp_path / 'whole'


def read(folder, split):
    return json.loads((folder / 'annotations' / f'instances_{split}.json').read_text())


@pytest.mark.parametrize('kind', COLOURS)
def test_kind(kind):
    assert kind_of(picture(kind)) == kind


def test_choice(source, tmp_path):
    kinds = choose_nuclei(source, tmp_path / 'out', num_train=10, num_val=5)
    assert kinds == dict(
        train={FLUORESCENCE: 7, STAINED: 3},
        val={FLUORESCENCE: 3, STAINED: 2},
    )
    for split in ('train', 'val'):
        content = read(tmp_path / 'out', split)
        assert Counter(image['kind'] for image in content['images']) == kinds[split]
        assert {image['file_name'] for image in content['images']} == {
            file.name for file in (tmp_path / 'out' / split).iterdir()
        }
        assert [one['id'] for one in content['annotations']] == list(range(1, len(content['annotations']) + 1))
        nuclei = Counter(one['image_id'] for one in content['annotations'])
        for image in content['images']:
            number = image['file_name'].removeprefix(split).removesuffix('.jpg')
            assert nuclei[image['id']] == int(number) + 1
            copy, original = (folder / split / image['file_name'] for folder in (tmp_path / 'out', source))
            assert copy.read_bytes() == original.read_bytes()
    # The kind has the images 6, 7 and 8, in the order of their numbers of nuclei: the first and the last are at equal steps.
    stained = [image['file_name'] for image in read(tmp_path / 'out', 'val')['images'] if image['kind'] == STAINED]
    assert stained == ['val6.jpg', 'val8.jpg']


def test_all_but_the_validation_images(source, tmp_path, capsys):
    main([str(source), str(tmp_path / 'part'), '--train', '10', '--val', '5'])
    main([str(source), str(tmp_path / 'most'), '--all', '--val', '5'])
    assert 'train: 25 images (' in capsys.readouterr().out
    assert read(tmp_path / 'most', 'val') == read(tmp_path / 'part', 'val')
    train, val = ({image['file_name'] for image in read(tmp_path / 'most', split)['images']} for split in ('train', 'val'))
    everything = {file.name for split in ('train', 'val') for file in (source / split).iterdir()}
    assert not train & val and train | val == everything


def test_messages(source, tmp_path):
    with pytest.raises(FishNetError, match='100 images need 65 of the kind fluorescence, and the source has 12'):
        choose_nuclei(source, tmp_path / 'out', num_train=100, num_val=5)
    with pytest.raises(FishNetError, match='instances_train.json cannot be read'):
        choose_nuclei(tmp_path, tmp_path / 'out')
    with pytest.raises(FishNetError, match='exists'):
        choose_nuclei(source, source)
    (source / 'val/val3.jpg').write_bytes(b'')
    with pytest.raises(FishNetError, match='val3.jpg is missing, or cannot be decoded'):
        choose_nuclei(source, tmp_path / 'out', 10, 5)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('split, images, nuclei', [('train', 100, 4583), ('val', 40, 1851)])
def test_the_images_of_the_repository(split, images, nuclei):
    content = read(DEMO, split)
    assert (len(content['images']), len(content['annotations'])) == (images, nuclei)
    assert f'| {images} |' in (DEMO / 'README.md').read_text() and f'| {nuclei} |' in (DEMO / 'README.md').read_text()
    sizes = {}
    for image in content['images']:
        pixels = cv2.imread(str(DEMO / split / image['file_name']))
        sizes[image['id']] = list(pixels.shape[:2])
        assert sizes[image['id']] == [image['height'], image['width']] and kind_of(pixels) == image['kind']
    for one in content['annotations']:
        assert one['segmentation']['size'] == sizes[one['image_id']]
        assert coco_mask.area(one['segmentation']) == one['area'] > 0
        np.testing.assert_array_equal(coco_mask.toBbox(one['segmentation']), one['bbox'])


def test_no_image_is_in_both_parts():
    train, val = ({image['file_name'] for image in read(DEMO, split)['images']} for split in ('train', 'val'))
    assert not train & val


def test_the_command_makes_the_images_of_the_repository(tmp_path):
    source = os.environ.get('FISHNET_TEST_NUCLEI')
    if not source:
        pytest.skip('FISHNET_TEST_NUCLEI does not name the folder of the whole data set')
    choose_nuclei(source, tmp_path / 'out')
    ours = {file.relative_to(DEMO): file.read_bytes() for file in DEMO.rglob('*') if file.is_file() and file.suffix != '.md'}
    made = {file.relative_to(tmp_path / 'out'): file.read_bytes() for file in (tmp_path / 'out').rglob('*') if file.is_file()}
    assert made == ours
