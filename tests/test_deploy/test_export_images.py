"""The preprocessing of an exported file, beside OpenCV, Pillow, mmcv's transforms and mmengine's data preprocessor."""

import cv2
import numpy as np
import pytest
import torch
from exporting import require_packages
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from PIL import Image

from fishnet_mmdet.errors import FishNetError

require_packages()

from mmdet.registry import MODELS  # noqa: E402

from fishnet_mmdet.deploy.export.images import Preprocessing  # noqa: E402
from fishnet_mmdet.deploy.export.resizing import opencv, pillow  # noqa: E402
from fishnet_mmdet.deploy.export.steps import read_steps  # noqa: E402

#: Height and width before and after: enlarged, shrunk, halved, doubled, one pixel, very long, the same.
SIZES = [
    ((48, 64), (96, 128)),
    ((97, 61), (160, 33)),
    ((100, 140), (50, 70)),
    ((37, 53), (41, 300)),
    ((1, 7), (9, 3)),
    ((20, 300), (8, 120)),
    ((64, 64), (64, 64)),
    ((427, 640), (800, 1199)),
]


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize('before, after', SIZES)
def test_opencv_bit_for_bit(before, after):
    image = picture(*before)
    expected = cv2.resize(image, after[::-1], interpolation=cv2.INTER_LINEAR)
    ours = opencv(torch.from_numpy(image), torch.tensor(after))
    assert np.array_equal(ours.numpy(), expected.astype(np.float32))


@pytest.mark.parametrize('before, after', SIZES)
def test_pillow(before, after):
    image = picture(*before)
    expected = np.asarray(Image.fromarray(image).resize(after[::-1], Image.BILINEAR)).astype(np.float32)
    ours = pillow(torch.from_numpy(image), torch.tensor(after)).numpy()
    assert np.array_equal(ours, expected)


DETECTOR = dict(
    type='DetDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_size_divisor=32,
)
BGR = dict(type='DetDataPreprocessor', mean=[103.5, 116.3, 123.7], std=[57.4, 57.1, 58.4], bgr_to_rgb=False)
PLAIN = dict(type='DetDataPreprocessor', pad_size_divisor=8, pad_value=7)
CLASSIFIER = dict(type='ImgDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True)
PIPELINES = {
    'Resize': ([dict(type='Resize', scale=(133, 80), keep_ratio=True)], DETECTOR),
    'Resize to a size': ([dict(type='Resize', scale=(120, 80), keep_ratio=False)], DETECTOR),
    'FixShapeResize': ([dict(type='FixShapeResize', width=70, height=50, keep_ratio=False)], PLAIN),
    'Enlarge': ([dict(type='fishnet_mmdet.Enlarge', shorter=100, longer=180)], DETECTOR),
    'RTMDet': (
        [
            dict(type='Resize', scale=(96, 96), keep_ratio=True),
            dict(type='Pad', size=(96, 96), pad_val=dict(img=(114, 114, 114))),
        ],
        BGR,
    ),
    'ImageNet': (
        [dict(type='ResizeShortestEdge', scale=64, backend='pillow'), dict(type='CenterCrop', crop_size=56)],
        CLASSIFIER,
    ),
    'longer side': ([dict(type='ResizeShortestEdge', scale=64, max_size=90)], CLASSIFIER),
    'as it is': ([], PLAIN),
}


def read(pipeline, preprocessor):
    """The steps that are read from a config, the pipeline and the preprocessor themselves."""
    pipeline = [dict(type='LoadImageFromFile'), *pipeline, dict(type='PackDetInputs', meta_keys=('img_shape',))]
    cfg = Config(dict(test_dataloader=dict(dataset=dict(pipeline=pipeline))))
    init_default_scope('mmdet')
    module = MODELS.build(preprocessor)
    return read_steps(cfg, module), Compose([ConfigDict(step) for step in pipeline[1:]]), module


@pytest.mark.parametrize('name', PIPELINES)
@pytest.mark.parametrize('size', [(60, 100), (100, 60), (200, 333), (427, 448), (75, 75)])
def test_as_the_pipeline_and_the_preprocessor(name, size):
    steps, pipeline, preprocessor = read(*PIPELINES[name])
    image = picture(*size)
    packed = pipeline(dict(img=image, img_shape=size, ori_shape=size))
    data = pseudo_collate([packed])
    inputs = preprocessor(dict(inputs=data['inputs'], data_samples=None), False)['inputs']
    pixels, image_size, original, resized = Preprocessing(steps)(torch.from_numpy(image))
    assert tuple(original.tolist()) == size
    assert tuple(image_size.tolist()) == tuple(packed['data_samples'].img_shape)
    assert pixels.shape == inputs.shape
    assert torch.equal(pixels, inputs)


@pytest.mark.parametrize(
    'step, words',
    [
        (dict(type='RandomFlip', prob=0.5), 'RandomFlip, which cannot be exported'),
        (dict(type='Resize', scale=(9, 9), interpolation='nearest'), 'interpolation=nearest'),
        (dict(type='Resize', scale_factor=2.0), 'scale_factor, which cannot be exported'),
        (dict(type='Pad', size_divisor=32), 'size_divisor, which cannot be exported'),
        (dict(type='Pad', size=(9, 9), pad_val=dict(img=(1, 2, 3))), 'one value for all channels'),
    ],
)
def test_refused_steps(step, words):
    with pytest.raises(FishNetError, match=words):
        read([step], PLAIN)


def test_refused_order():
    with pytest.raises(FishNetError, match='Resize in this place'):
        read([dict(type='CenterCrop', crop_size=8), dict(type='Resize', scale=(9, 9))], CLASSIFIER)
