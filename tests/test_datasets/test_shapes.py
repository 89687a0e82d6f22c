import json
import runpy
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from fishnet_mmdet.datasets import shape_scenes, shapes
from fishnet_mmdet.datasets.shape_scenes import CLASSES, draw_background, draw_scene
from fishnet_mmdet.datasets.shapes import encode_mask, make_shapes
from fishnet_mmdet.errors import FishNetError

COMMAND = Path(__file__).parents[2] / 'tools' / 'dataset_converters' / 'make_shapes.py'


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


def annotations(folder, split):
    return json.loads((folder / 'annotations' / f'instances_{split}.json').read_text())['annotations']


@pytest.fixture(scope='module')
def full(tmp_path_factory):
    """The data set of the default size."""
    out = tmp_path_factory.mktemp('full') / 'shapes'
    make_shapes(out)
    return out


@pytest.fixture(scope='module')
def small_once(tmp_path_factory):
    out = tmp_path_factory.mktemp('small') / 'shapes'
    make_shapes(out, 3, 2)
    return out


@pytest.fixture
def small(small_once, tmp_path):
    """A data set of 3 + 2 images that a test may spoil, alone in its folder."""
    return Path(shutil.copytree(small_once, tmp_path / 'shapes'))


@pytest.fixture(params=('train', 'val'))
def coco(request, full, capsys):
    loaded = COCO(full / 'annotations' / f'instances_{request.param}.json')
    loaded.split = request.param
    return loaded


@pytest.fixture
def command(monkeypatch):

    def run(*args):
        monkeypatch.setattr('sys.argv', [str(COMMAND), *map(str, args)])
        runpy.run_path(str(COMMAND), run_name='__main__')

    return run


def test_layout(full):
    assert sorted(path.name for path in full.iterdir()) == ['annotations', 'shapes.json', 'train', 'val']
    assert sorted(path.name for path in (full / 'val').iterdir()) == [f'{number:06d}.jpg' for number in range(1, 51)]
    assert len(list((full / 'train').iterdir())) == 200


def test_same_arguments_same_bytes(small, tmp_path):
    make_shapes(tmp_path / 'again', 3, 2)
    assert files(tmp_path / 'again') == files(small)


def test_another_seed_another_data_set(small, tmp_path):
    make_shapes(tmp_path / 'other', 3, 2, seed=1)
    first, other = files(small), files(tmp_path / 'other')
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first)


def test_images_do_not_depend_on_their_number(small, tmp_path):
    make_shapes(tmp_path / 'other', 1, 4)
    for split, common in (('train', 1), ('val', 2)):
        few, many = annotations(small, split), annotations(tmp_path / 'other', split)
        few, many = sorted((few, many), key=len)
        assert few == many[: len(few)]
        for number in range(1, common + 1):
            name = f'{split}/{number:06d}.jpg'
            assert (small / name).read_bytes() == (tmp_path / 'other' / name).read_bytes()


def test_splits_have_different_images(full):
    pixels = [path.read_bytes() for path in full.rglob('*.jpg')]
    assert len(set(pixels)) == 250


@pytest.mark.parametrize('seed', range(40))
def test_masks_are_what_was_drawn(seed):
    image, instances = draw_scene(np.random.default_rng(seed))
    background, _ = draw_background(np.random.default_rng(seed))
    times_covered = np.sum([mask for _, mask in instances], 0)
    changed = (image != background).any(2)
    assert 1 <= len(instances) <= 4
    assert times_covered.max() == 1
    assert not changed[times_covered == 0].any()
    # By chance a pixel of a shape has the very colour of the background.
    assert changed[times_covered == 1].mean() > 0.99


def test_nearly_hidden_shapes_are_left_out(monkeypatch):

    def smallest_part():
        scenes = [draw_scene(np.random.default_rng(seed))[1] for seed in range(200)]
        return min(mask.sum() for instances in scenes for _, mask in instances)

    assert smallest_part() >= 64
    monkeypatch.setattr(shape_scenes, 'MIN_VISIBLE', 0.05)
    assert smallest_part() < 64


def test_later_shapes_hide_earlier_ones():
    scenes = [draw_scene(np.random.default_rng(seed))[1] for seed in range(40)]
    whole = [mask for instances in scenes for label, mask in instances[-1:] if CLASSES[label] == 'disc']
    hidden = [mask for instances in scenes for label, mask in instances[:-1] if CLASSES[label] == 'disc']

    def is_convex(mask):
        contours = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
        hull = cv2.fillConvexPoly(np.zeros(mask.shape, np.uint8), cv2.convexHull(np.concatenate(contours)), 1)
        return mask.sum() / hull.sum() > 0.97

    assert whole and all(map(is_convex, whole))
    assert not all(map(is_convex, hidden))


def test_colour_tells_of_the_class():
    """Hues lie around their own class's, 36 of 180 apart; it was a picture's backmost shape's in all of it once."""
    offsets = []
    for seed in range(60):
        image, instances = draw_scene(np.random.default_rng(seed))
        hue, saturation = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV))[:2]
        for label, mask in instances:
            # The mean direction on the circle of hues, by saturation: that of grey pixels is chance.
            angle = hue[mask] * (np.pi / 90)
            mean = np.angle((saturation[mask] * np.exp(1j * angle)).sum())
            offsets.append(np.angle(np.exp(1j * (mean - 2 * np.pi * label / 5))) * 90 / np.pi)
    assert len(offsets) > 100
    assert np.mean(np.abs(offsets) < 18) > 0.8
    # Not settled by it: some are nearer to another class's hue.
    assert np.mean(np.abs(offsets) > 18) > 0.01


def test_files_hold_what_was_drawn(full, coco):
    for number, image in list(coco.imgs.items())[:80]:
        pixels, drawn = draw_scene(np.random.default_rng((0, shapes.SPLITS.index(coco.split), number - 1)))
        stored = cv2.imread(str(full / coco.split / image['file_name']))
        assert stored.shape == (image['height'], image['width'], 3)
        # What JPEG loses.
        assert np.abs(stored.astype(int) - pixels).mean() < 6
        annotated = coco.imgToAnns[number]
        assert [annotation['category_id'] for annotation in annotated] == [label + 1 for label, _ in drawn]
        for annotation, (_, mask) in zip(annotated, drawn):
            decoded = coco.annToMask(annotation)
            rows, columns = np.nonzero(decoded)
            left, top = columns.min(), rows.min()
            assert decoded.shape == (image['height'], image['width'])
            assert np.array_equal(decoded, mask)
            assert annotation['area'] == mask.sum()
            assert annotation['bbox'] == [left, top, columns.max() + 1 - left, rows.max() + 1 - top]
            assert annotation['iscrowd'] == 0


def test_sizes_of_images_vary(coco):
    sizes = {(image['height'], image['width']) for image in coco.imgs.values()}
    assert len(sizes) > 10
    assert {max(size) for size in sizes} == {256}
    assert min(min(size) for size in sizes) >= 192


def test_ids_and_categories(coco):
    assert [category['name'] for category in coco.loadCats(range(1, 6))] == list(CLASSES)
    assert sorted(coco.cats) == [1, 2, 3, 4, 5]
    assert list(coco.imgs) == list(range(1, len(coco.imgs) + 1))
    assert list(coco.anns) == list(range(1, len(coco.anns) + 1))


def test_every_split_has_all_classes_sizes_and_encodings(coco):
    anns = list(coco.anns.values())
    assert all(len(coco.getAnnIds(catIds=number)) >= 15 for number in coco.cats)
    assert len(coco.getAnnIds(areaRng=[0, 32**2])) >= 15
    assert len(coco.getAnnIds(areaRng=[32**2, 96**2])) >= 15
    assert len(coco.getAnnIds(areaRng=[96**2, 1e10])) >= 15
    assert sum(isinstance(ann['segmentation'], list) for ann in anns) >= 15
    assert sum(isinstance(ann['segmentation'], dict) for ann in anns) >= 15
    assert any(len(ann['segmentation']) > 1 for ann in anns if isinstance(ann['segmentation'], list))


@pytest.mark.parametrize(
    'rows, kind',
    [
        (('1',), list),
        (('000', '010', '000'), list),
        (('0110', '1111', '0100'), list),
        (('11011', '11011'), list),
        (('10', '01'), list),
        (('111', '101', '111'), dict),
        (('11111', '10001', '10101', '10001', '11111'), dict),
    ],
    ids=('full', 'pixel', 'steps', 'two parts', 'touching corners', 'hole', 'island'),
)
def test_encode_mask_is_exact(rows, kind):
    mask = np.array([[cell == '1' for cell in row] for row in rows])
    encoded = encode_mask(mask)
    coco = COCO()
    coco.imgs = {1: dict(height=mask.shape[0], width=mask.shape[1])}
    assert isinstance(encoded, kind)
    assert np.array_equal(coco.annToMask(dict(image_id=1, segmentation=json.loads(json.dumps(encoded)))), mask)


def test_complete_data_set_is_kept(small, capsys):
    before = files(small)
    written = (small / 'shapes.json').stat().st_mtime_ns
    make_shapes(small, 3, 2)
    assert 'already has this data set' in capsys.readouterr().out
    assert files(small) == before
    assert (small / 'shapes.json').stat().st_mtime_ns == written


@pytest.mark.parametrize('arguments', [(4, 2), (3, 1), (3, 2, 1)])
def test_other_arguments_are_refused(small, arguments):
    before = files(small)
    with pytest.raises(FishNetError, match='exists and has other'):
        make_shapes(small, *arguments)
    assert files(small) == before


@pytest.mark.parametrize('missing', ['train/000002.jpg', 'annotations/instances_val.json', 'shapes.json'])
def test_incomplete_data_set_is_refused(small, missing):
    (small / missing).unlink()
    before = files(small)
    with pytest.raises(FishNetError, match='or incomplete content'):
        make_shapes(small, 3, 2)
    assert files(small) == before


def test_older_generator_is_refused(small, monkeypatch):
    monkeypatch.setattr(shapes, 'GENERATOR', shapes.GENERATOR + 1)
    with pytest.raises(FishNetError, match='exists and has other'):
        make_shapes(small, 3, 2)


def test_foreign_things_are_refused(tmp_path):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder' / 'shapes.json').write_text('mine')
    (tmp_path / 'file').write_text('mine')
    before = files(tmp_path)
    for name in ('folder', 'file'):
        with pytest.raises(FishNetError, match=f'{name} exists'):
            make_shapes(tmp_path / name, 1, 1)
    assert files(tmp_path) == before


def test_interrupted_run_leaves_nothing(tmp_path, monkeypatch):

    def interrupt(mask):
        raise KeyboardInterrupt

    monkeypatch.setattr(shapes, 'encode_mask', interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_shapes(tmp_path / 'shapes', 1, 1)
    assert list(tmp_path.iterdir()) == []


def test_unwritten_image_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, 'imwrite', lambda *args: False)
    with pytest.raises(OSError, match='000001.jpg'):
        make_shapes(tmp_path / 'shapes', 1, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('wrong', [dict(num_train=0), dict(num_val=0), dict(seed=-1)])
def test_numbers_out_of_range(tmp_path, wrong):
    with pytest.raises(FishNetError, match=next(iter(wrong))):
        make_shapes(tmp_path / 'shapes', **wrong)
    assert list(tmp_path.iterdir()) == []


def test_command_says_what_it_made(command, small, tmp_path, capsys):
    command(tmp_path / 'deep' / 'made', '--train', 3, '--val', 2)
    out = capsys.readouterr().out
    assert files(tmp_path / 'deep' / 'made') == files(small)
    for split, images in (('train', 3), ('val', 2)):
        anns = annotations(small, split)
        discs = sum(ann['category_id'] == 1 for ann in anns)
        large = sum(ann['area'] > 96**2 for ann in anns)
        line = next(line for line in out.splitlines() if line.startswith(f'{split}: '))
        assert f'{images} images, {len(anns)} instances ({discs} disc, ' in line
        assert f', {large} large)' in line


@pytest.mark.parametrize(
    'arguments, message',
    [((), 'exists and has other'), (('--train', 0), '--train must be')],
)
def test_command_stops_with_one_message(command, small, arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        command(small, *arguments)
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ') and message in line


def test_command_reports_a_full_disk(command, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cv2, 'imwrite', lambda *args: False)
    with pytest.raises(SystemExit):
        command(tmp_path / 'shapes')
    assert 'error: cannot write the data set: cannot write 000001.jpg' in capsys.readouterr().err
