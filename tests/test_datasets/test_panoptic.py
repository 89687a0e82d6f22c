"""Panoptic annotations: reading them, beside mmdet's own transform, and writing those of the generated shapes."""

import json
import runpy
import sys
import types

import cv2
import numpy as np
import pytest
from conftest import REPO
from mmdet.utils import register_all_modules
from mmengine.registry import DefaultScope
from pycocotools.coco import COCO

from fishnet_mmdet.datasets.panoptic import LoadPanopticSegments, read_segment_ids
from fishnet_mmdet.datasets.shapes import BACKGROUND_ID, CLASSES, SPLITS, add_panoptic, make_shapes
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.registry import DATASETS

HEIGHT, WIDTH = 40, 60
#: Ids that need one, two and three of the channels; columns; class; whether it is a crowd.
SEGMENTS = {7: (0, 10, 'cat', 0), 300: (10, 25, 'dog', 0), 70000: (25, 40, 'cat', 1), 256**3 - 1: (40, 55, 'grass', 0)}
CATEGORIES = [dict(id=3, name='cat', isthing=1), dict(id=5, name='dog', isthing=1), dict(id=9, name='grass', isthing=0)]
METAINFO = dict(classes=('cat', 'dog', 'grass'), thing_classes=('cat', 'dog'), stuff_classes=('grass',))


def write_png(file, ids):
    file.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(file), np.stack([ids // 256**2, ids // 256 % 256, ids % 256], -1).astype(np.uint8))


def rgb2id(colour):
    colour = colour.astype(np.int32)
    return colour[..., 0] + 256 * colour[..., 1] + 256 * 256 * colour[..., 2]


@pytest.fixture
def stripes(tmp_path):
    """An image of four upright stripes and a rest that is void, as a panoptic data set."""
    ids = np.zeros((HEIGHT, WIDTH), int)
    segments = []
    for number, (left, right, name, crowd) in SEGMENTS.items():
        ids[:, left:right] = number
        category = next(one['id'] for one in CATEGORIES if one['name'] == name)
        box = [left, 0, right - left, HEIGHT]
        segments.append(dict(id=number, category_id=category, iscrowd=crowd, bbox=box, area=box[2] * HEIGHT))
    (tmp_path / 'images').mkdir()
    cv2.imwrite(str(tmp_path / 'images/1.jpg'), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    write_png(tmp_path / 'maps/1.png', ids)
    content = dict(
        images=[dict(id=1, file_name='1.jpg', height=HEIGHT, width=WIDTH)],
        annotations=[dict(image_id=1, file_name='1.png', segments_info=segments)],
        categories=CATEGORIES,
    )
    (tmp_path / 'panoptic.json').write_text(json.dumps(content))
    return tmp_path


def load(folder, loading='LoadPanopticSegments', prefix=dict(img='images/', seg='maps/')):
    register_all_modules(init_default_scope=False)
    transforms = [dict(type='LoadImageFromFile'), dict(type=loading), dict(type='Resize', scale=(30, 20))]
    transforms += [dict(type='RandomFlip', prob=1.0), dict(type='PackDetInputs')]
    kwargs = dict(data_root=f'{folder}/', ann_file='panoptic.json', data_prefix=dict(prefix), metainfo=METAINFO)
    # As in a config with default_scope = 'fishnet_mmdet', and for this call only: other tests need no scope.
    with DefaultScope.overwrite_default_scope('fishnet_mmdet'):
        return DATASETS.build(dict(type='CocoPanopticDataset', pipeline=transforms, **kwargs))[0]['data_samples']


def test_ids_of_the_colours(stripes):
    ids = read_segment_ids(f'{stripes}/maps/1.png')
    assert ids.shape == (HEIGHT, WIDTH) and ids.dtype == np.int32
    assert ids[0, [0, 10, 25, 40, 59]].tolist() == [7, 300, 70000, 256**3 - 1, 0]
    assert (ids == ids[0]).all()


def test_things_crowds_stuff_and_void(stripes):
    sample = load(stripes)
    # Every second column, mirrored; the crowd's label is that of its class.
    row = [255] * 2 + [2] * 8 + [0] * 7 + [1] * 8 + [0] * 5
    assert sample.gt_sem_seg.sem_seg.tolist() == [[row] * 20]
    things = sample.gt_instances
    assert things.labels.tolist() == [0, 1]
    assert things.bboxes.tensor.tolist() == [[25, 0, 30, 20], [17.5, 0, 25, 20]]
    masks = things.masks.masks
    assert masks.shape == (2, 20, 30)
    assert masks[0].tolist() == [[0] * 25 + [1] * 5] * 20
    assert masks[1].tolist() == [[0] * 17 + [1] * 8 + [0] * 5] * 20


def test_equal_to_mmdets_transform(stripes, monkeypatch):
    """mmdet's LoadPanopticAnnotations, with a stand-in for the one function of panopticapi that it calls."""
    utils = types.SimpleNamespace(rgb2id=rgb2id)
    monkeypatch.setitem(sys.modules, 'panopticapi', types.SimpleNamespace(utils=utils))
    mine, theirs = load(stripes), load(stripes, 'LoadPanopticAnnotations')
    np.testing.assert_array_equal(mine.gt_sem_seg.sem_seg, theirs.gt_sem_seg.sem_seg)
    assert mine.gt_instances.labels.tolist() == theirs.gt_instances.labels.tolist()
    np.testing.assert_array_equal(mine.gt_instances.bboxes.tensor, theirs.gt_instances.bboxes.tensor)
    np.testing.assert_array_equal(mine.gt_instances.masks.masks, theirs.gt_instances.masks.masks)


def test_an_image_without_truth(stripes):
    sample = load(stripes, prefix=dict(img='images/'))
    assert 'gt_sem_seg' not in sample and 'masks' not in sample.gt_instances


@pytest.mark.parametrize('broken', [None, b'no image', b''])
def test_no_map(stripes, broken):
    file = stripes / 'maps/1.png'
    if broken is None:
        file.unlink()
    else:
        file.write_bytes(broken)
    with pytest.raises(FishNetError, match=f'the panoptic map {file} is missing, or cannot be decoded'):
        load(stripes)


def test_a_map_of_another_size(stripes):
    write_png(stripes / 'maps/1.png', np.zeros((HEIGHT, WIDTH - 1), int))
    with pytest.raises(FishNetError, match=r'maps/1.png has size \(40, 59\), but its image has \(40, 60\)'):
        load(stripes)


def test_an_image_of_stuff_alone(stripes):
    content = json.loads((stripes / 'panoptic.json').read_text())
    segments = content['annotations'][0]['segments_info']
    segments[:] = [one for one in segments if one['category_id'] == 9]
    (stripes / 'panoptic.json').write_text(json.dumps(content))
    sample = load(stripes)
    assert sample.gt_instances.masks.masks.shape == (0, 20, 30) and len(sample.gt_instances) == 0
    assert sorted(set(sample.gt_sem_seg.sem_seg.flatten().tolist())) == [2, 255]


def test_is_registered():
    from fishnet_mmdet.registry import TRANSFORMS

    assert type(TRANSFORMS.build(dict(type='LoadPanopticSegments'))) is LoadPanopticSegments


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


@pytest.fixture(scope='module')
def panoptic(tmp_path_factory):
    """Generated shapes with panoptic annotations, and their files before these were added."""
    out = tmp_path_factory.mktemp('panoptic') / 'shapes'
    make_shapes(out, 4, 3)
    before = files(out)
    add_panoptic(out)
    return out, before


def test_the_rest_of_the_data_set_is_left(panoptic):
    out, before = panoptic
    after = files(out)
    assert {name: after[name] for name in before} == before
    added = {f'annotations/panoptic_{split}.json' for split in SPLITS}
    added |= {f'annotations/panoptic_{name[:-4]}.png' for name in before if name.endswith('.jpg')}
    assert set(after) - set(before) == added and len(added) == 2 + 7


@pytest.mark.parametrize('split', SPLITS)
def test_segments_are_the_instances_and_the_background(panoptic, split, capsys):
    out, _ = panoptic
    folder = out / 'annotations'
    coco = COCO(folder / f'instances_{split}.json')
    content = json.loads((folder / f'panoptic_{split}.json').read_text())
    assert content['images'] == coco.dataset['images']
    assert [(c['id'], c['name'], c['isthing']) for c in content['categories']] == [
        *((number, name, 1) for number, name in enumerate(CLASSES, 1)),
        (len(CLASSES) + 1, 'background', 0),
    ]
    for image, annotation in zip(content['images'], content['annotations']):
        assert annotation['image_id'] == image['id']
        assert annotation['file_name'] == image['file_name'].replace('.jpg', '.png')
        ids = rgb2id(cv2.imread(str(folder / f'panoptic_{split}' / annotation['file_name']))[..., ::-1])
        assert ids.shape == (image['height'], image['width'])
        segments = {segment['id']: segment for segment in annotation['segments_info']}
        assert set(np.unique(ids)) == set(segments)
        for number, segment in segments.items():
            inside = ids == number
            assert segment['area'] == inside.sum() and segment['iscrowd'] == 0
            rows, columns = inside.any(1).nonzero()[0], inside.any(0).nonzero()[0]
            size = [columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]]
            assert segment['bbox'] == [columns[0], rows[0], *size]
            if number != BACKGROUND_ID:
                np.testing.assert_array_equal(inside, coco.annToMask(coco.anns[number]))
                assert segment['category_id'] == coco.anns[number]['category_id']
        shapes = coco.getAnnIds(image['id'])
        assert set(segments) == {*shapes, BACKGROUND_ID}
        assert segments[BACKGROUND_ID]['category_id'] == len(CLASSES) + 1


def test_command(panoptic, tmp_path, monkeypatch, capsys):
    """With --panoptic the same files; also where the data set lies already without them."""
    out, before = panoptic
    command = str(REPO / 'tools/dataset_converters/make_shapes.py')
    arguments = [command, str(tmp_path / 'shapes'), '--train', '4', '--val', '3']
    for more, expected in (((), before), (('--panoptic',), files(out)), (('--panoptic',), files(out))):
        monkeypatch.setattr('sys.argv', [*arguments, *more])
        runpy.run_path(command, run_name='__main__')
        assert files(tmp_path / 'shapes') == expected
    assert 'already has this data set' in capsys.readouterr().out
