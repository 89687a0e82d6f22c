"""The transforms for classification, against what numpy, pillow and statistics say."""

import numpy as np
import pytest
import torch
from conftest import REPO
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from PIL import Image
from scipy.stats import chisquare, kstest

from fishnet_mmdet.datasets.transforms import PackInputs, PCALighting, RandomPadCrop, RandomResizedCrop
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.registry import TRANSFORMS

SMALL = [dict(type='RandomFlip', prob=0.5), dict(type='RandomPadCrop', padding=4), dict(type='PackInputs')]


def pipeline(configs):
    return Compose([TRANSFORMS.build(config) for config in configs])


def random_image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def coordinates(height, width):
    """An image whose pixels hold their own x and y."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([x, y, y], 2)


def box(image):
    """Left, top, width and height of what was cut out of ``coordinates`` and resized to this square."""
    size = len(image)
    first, second = size // 4, 3 * size // 4
    start, end = image[first, first, :2].astype(float), image[second, second, :2].astype(float)
    sides = (end - start) * size / (second - first)
    # The centre of pixel i lies i + 0.5 pixels from the border, in the part as in its image.
    corner = start + 0.5 - (first + 0.5) * sides / size
    return np.array([*corner, *sides])


@pytest.fixture(autouse=True)
def seed():
    np.random.seed(0)


def test_names_are_free():
    import mmcv.transforms
    import mmdet.datasets.transforms

    for transform in (PackInputs, PCALighting, RandomPadCrop, RandomResizedCrop):
        assert TRANSFORMS.get(transform.__name__) is transform
        assert not hasattr(mmcv.transforms, transform.__name__)
        assert not hasattr(mmdet.datasets.transforms, transform.__name__)


def test_resized_crop_draws_area_aspect_and_place_evenly():
    # All such parts fit into a square: none is drawn again.
    height = width = 1000
    crop = RandomResizedCrop(32, area=(0.08, 0.5))
    image = coordinates(height, width)
    boxes = np.stack([box(crop(dict(img=image))['img']) for _ in range(1500)])
    assert np.allclose(boxes, boxes.round(), atol=0.01)
    left, top, w, h = boxes.round().T
    for values, low, high in (
        (w * h / (height * width), 0.08, 0.5),
        (np.log(w / h), np.log(3 / 4), np.log(4 / 3)),
        ((left + 0.5) / (width - w + 1), 0, 1),
        ((top + 0.5) / (height - h + 1), 0, 1),
    ):
        assert kstest(values, 'uniform', (low, high - low)).pvalue > 0.01
    assert abs(np.corrcoef([w * h, w / h, left / (width - w), top / (height - h)]) - np.eye(4)).max() < 0.08


def test_resized_crop_by_default_as_for_imagenet():
    crop = RandomResizedCrop(64)
    image = coordinates(375, 500)
    boxes = np.stack([box(crop(dict(img=image))['img']) for _ in range(1500)]).round()
    left, top, w, h = boxes.T
    assert min(left.min(), top.min()) == 0
    assert (left + w).max() == 500 and (top + h).max() == 375
    area, aspect = w * h / (375 * 500), w / h
    assert 0.079 < area.min() < 0.085 and 0.95 < area.max() <= 1
    assert 0.74 < aspect.min() < 0.76 and 1.32 < aspect.max() < 1.35


@pytest.mark.parametrize('shape', [(10, 1000), (1000, 10)])
def test_resized_crop_where_nothing_fits(shape):
    crop = RandomResizedCrop(64, area=(0.9, 1))
    found = {tuple(box(crop(dict(img=coordinates(*shape)))['img']).round().tolist()) for _ in range(20)}
    assert found == ({(493, 0, 13, 10)} if shape[0] == 10 else {(0, 493, 10, 13)})


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_resized_crop_of_all_at_the_same_size_changes_nothing(backend):
    image = random_image(48, 48)
    results = RandomResizedCrop(48, area=(1, 1), aspect=(1, 1), backend=backend)(dict(img=image))
    assert np.array_equal(results['img'], image)
    assert results['img_shape'] == (48, 48)


def test_resized_crop_by_pillow_averages_over_all_pixels():
    image = random_image(400, 400)
    results = RandomResizedCrop(50, area=(1, 1), aspect=(1, 1), backend='pillow')(dict(img=image))['img']
    assert results.dtype == np.uint8
    assert np.array_equal(results, np.asarray(Image.fromarray(image).resize((50, 50), Image.BILINEAR)))
    by_cv2 = RandomResizedCrop(50, area=(1, 1), aspect=(1, 1))(dict(img=image))['img']
    assert results.std() < 0.3 * by_cv2.std()


@pytest.mark.parametrize('mode', ['zero', 'reflect'])
def test_pad_crop_takes_every_place_equally_often(mode):
    image = random_image(8, 11)
    before = image.copy()
    padded = np.pad(image, ((3, 3), (3, 3), (0, 0)), **dict(mode='reflect') if mode == 'reflect' else {})
    places = {padded[y : y + 8, x : x + 11].tobytes(): 7 * y + x for y in range(7) for x in range(7)}
    assert len(places) == 49
    crop = RandomPadCrop(padding=3, mode=mode)
    drawn = [places[crop(dict(img=image))['img'].tobytes()] for _ in range(4900)]
    assert chisquare(np.bincount(drawn, minlength=49)).pvalue > 0.01
    assert np.array_equal(image, before)


def test_pad_crop_by_default_moves_by_up_to_4():
    image = coordinates(32, 32)
    moves = np.array([RandomPadCrop()(dict(img=image))['img'][16, 16, :2] - 16 for _ in range(500)])
    assert moves.min(0).tolist() == [-4, -4] and moves.max(0).tolist() == [4, 4]
    assert np.array_equal(RandomPadCrop(padding=0)(dict(img=image))['img'], image)


def test_lighting_has_the_covariance_of_imagenet():
    lighting = PCALighting(0.1)
    black = np.zeros((1, 1, 3), np.uint8)
    bgr = np.stack([lighting(dict(img=black))['img'][0, 0] for _ in range(20000)])
    rgb = bgr[:, ::-1].astype(float) / 255
    vectors = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    values = np.diag([0.02175, 0.00188, 0.00045])
    expected = vectors @ values**2 @ vectors.T
    assert np.allclose(np.cov(rgb.T), expected, atol=0.03 * expected.max())
    # The same where the small components count as much as the large one.
    whitened = np.linalg.solve(vectors @ values, rgb.T)
    assert np.allclose(np.cov(whitened), np.eye(3), atol=0.04)
    assert np.allclose(whitened.mean(1), 0, atol=0.03)


def test_lighting_adds_one_colour_and_does_not_clip():
    image = random_image(20, 30)
    image[0], image[1] = 0, 255
    lighting = PCALighting(0.5)
    shifted = [lighting(dict(img=image))['img'] for _ in range(10)]
    assert all(one.dtype == np.float32 and one.shape == image.shape for one in shifted)
    shifts = np.stack([one - image for one in shifted])
    assert np.ptp(shifts, axis=(1, 2)).max() < 1e-4
    assert min(abs(shifts).max((1, 2, 3))) > 0.1
    assert min(one.min() for one in shifted) < 0 and max(one.max() for one in shifted) > 255
    assert np.array_equal(PCALighting(0)(dict(img=image))['img'], image)
    flipped = image[:, ::-1]
    assert np.array_equal(PCALighting(0)(dict(img=flipped))['img'], flipped)


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_pack(dtype):
    image = random_image(5, 7).astype(dtype)
    results = [PackInputs()(dict(img=one, gt_label=np.int64(3), img_path='x')) for one in (image, image[:, ::-1])]
    for packed, expected in zip(results, (image, image[:, ::-1])):
        assert set(packed) == {'inputs', 'data_samples'}
        assert packed['inputs'].is_contiguous()
        assert np.array_equal(packed['inputs'].numpy(), np.moveaxis(expected, 2, 0))
        assert packed['inputs'].numpy().dtype == dtype
        assert type(packed['data_samples']) is int
    batch = default_collate(results)
    assert batch['inputs'].shape == (2, 3, 5, 7)
    assert batch['data_samples'].dtype == torch.int64 and batch['data_samples'].tolist() == [3, 3]


@pytest.mark.parametrize(
    'configs', [SMALL, SMALL[:1] + SMALL[2:], SMALL[1:], [dict(type='PCALighting')], [dict(type='RandomResizedCrop', size=8)]]
)
def test_one_seed_repeats_and_another_differs(configs):
    transform = pipeline(configs)

    def draw(seed):
        np.random.seed(seed)
        results = [transform(dict(img=random_image(32, 32), gt_label=0)) for _ in range(20)]
        return np.stack([one.get('inputs', one.get('img')) for one in results])

    assert np.array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))


def test_pipelines_of_the_imagenet_config():
    cfg = Config.fromfile(REPO / 'configs/classification/_base_/imagenet.py')
    train, test = pipeline(cfg.train_pipeline[1:]), pipeline(cfg.test_pipeline[1:])
    packed = train(dict(img=random_image(375, 500), gt_label=5))
    assert packed['inputs'].shape == (3, 224, 224) and packed['inputs'].dtype == torch.float32
    assert packed['data_samples'] == 5

    # A ramp along the longer side, which becomes 512 wide: the part of 224 in its middle.
    ramp = np.linspace(0, 255, 640).round().astype(np.uint8)
    for axis, shape in ((1, (320, 640, 3)), (0, (640, 320, 3))):
        image = np.broadcast_to(ramp.reshape((1, -1, 1) if axis else (-1, 1, 1)), shape)
        inputs = test(dict(img=np.ascontiguousarray(image), gt_label=0))['inputs']
        assert inputs.shape == (3, 224, 224) and inputs.dtype == torch.uint8
        line = inputs[0].double().mean(0 if axis else 1)
        expected = 255 * (np.arange(144, 368) + 0.5) / 512
        assert abs(line.numpy() - expected).max() < 1


@pytest.mark.parametrize(
    'wrong',
    [
        dict(type='RandomResizedCrop', size=0),
        dict(type='RandomResizedCrop', size=(224, 224)),
        dict(type='RandomResizedCrop', size=224, area=(0, 1)),
        dict(type='RandomResizedCrop', size=224, area=(8, 100)),
        dict(type='RandomResizedCrop', size=224, area=(0.5, 0.2)),
        dict(type='RandomResizedCrop', size=224, aspect=(4 / 3, 3 / 4)),
        dict(type='RandomResizedCrop', size=224, backend='turbo'),
        dict(type='RandomPadCrop', padding=-1),
        dict(type='RandomPadCrop', mode='wrap'),
        dict(type='PCALighting', std=-0.1),
    ],
)
def test_wrong_arguments(wrong):
    name = [key for key in wrong if key not in ('type', 'size')] or ['size']
    with pytest.raises(FishNetError, match=f'{name[0]} of {wrong["type"]}'):
        TRANSFORMS.build(wrong)
