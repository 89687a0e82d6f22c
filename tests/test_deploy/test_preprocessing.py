"""The steps beside the graph, and the pasting of masks: compared with mmdet's own."""

import builtins

import numpy as np
import pytest
import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

from fishnet_mmdet.deploy import FishNetError
from fishnet_mmdet.deploy.pasting import paste_masks
from fishnet_mmdet.deploy.preprocessing import prepare, read_steps
from fishnet_mmdet.registry import SCOPE, TRANSFORMS

#: What ImageNet's weights were trained with.
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
#: By name: the step in the metadata, and the transforms that it stands for.
PIPELINES = {
    'fit': (
        dict(resize=dict(kind='Resize', scale=[333, 200], keep_ratio=True)),
        [dict(type='Resize', scale=(333, 200), keep_ratio=True)],
    ),
    'stretch': (
        dict(resize=dict(kind='Resize', scale=[120, 90], keep_ratio=False)),
        [dict(type='Resize', scale=(120, 90), keep_ratio=False)],
    ),
    'fit and pad': (
        dict(resize=dict(kind='Resize', scale=[160, 160], keep_ratio=True), pad_to=[160, 160], pad_to_value=114),
        [
            dict(type='Resize', scale=(160, 160), keep_ratio=True),
            dict(type='Pad', size=(160, 160), pad_val=dict(img=(114, 114, 114))),
        ],
    ),
    'enlarge': (
        dict(resize=dict(kind='Enlarge', shorter=128, longer=260)),
        [dict(type='Enlarge', shorter=128, longer=260)],
    ),
    'short side and crop': (
        dict(resize=dict(kind='ShortSide', scale=96, backend='pillow'), crop=[80, 81]),
        [dict(type='ResizeShortestEdge', scale=96, backend='pillow'), dict(type='CenterCrop', crop_size=(81, 80))],
    ),
    'short side and no longer than': (
        dict(resize=dict(kind='ShortSide', scale=96, max_size=130)),
        [dict(type='ResizeShortestEdge', scale=96, max_size=130)],
    ),
    'nothing': (dict(resize=None), []),
}


@pytest.mark.parametrize('size', [(97, 141), (300, 51), (64, 64)])
@pytest.mark.parametrize('name', PIPELINES)
def test_as_the_pipeline_of_a_config(name, size):
    step, transforms = PIPELINES[name]
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    results = dict(img=image.copy(), img_shape=size, ori_shape=size)
    for one in transforms:
        results = TRANSFORMS.build(dict(one, _scope_=SCOPE))(results)
    processor = DetDataPreprocessor(mean=MEAN, std=STD, bgr_to_rgb=True, pad_size_divisor=32)
    inputs = torch.from_numpy(np.ascontiguousarray(results['img'].transpose(2, 0, 1)))
    expected = processor(dict(inputs=[inputs], data_samples=None))['inputs'].numpy()

    steps = read_steps(dict(where='beside', bgr_to_rgb=True, mean=MEAN, std=STD, pad_divisor=32, pad_value=0, **step))
    prepared = prepare(image, steps)

    np.testing.assert_array_equal(prepared.image, expected)
    assert prepared.image.dtype == np.float32 and prepared.size.dtype == np.int64
    assert tuple(prepared.size) == results['img'].shape[:2]
    if 'scale_factor' in results and 'crop' not in step:
        np.testing.assert_allclose(prepared.scale, results['scale_factor'], rtol=1e-6)


def test_without_pillow(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == 'PIL':
            raise ModuleNotFoundError
        return real(name, *args, **kwargs)

    steps = read_steps(dict(where='beside', resize=dict(kind='ShortSide', scale=96, backend='pillow')))
    monkeypatch.setattr(builtins, '__import__', without)
    with pytest.raises(FishNetError, match='pip install pillow'):
        prepare(np.zeros((20, 20, 3), np.uint8), steps)


def test_masks_as_mmdet_pastes_them():
    random = np.random.default_rng(0)
    height, width, number = 60, 90, 40
    corners = random.uniform((-10, -10), (85, 55), (number, 2))
    boxes = np.concatenate([corners, corners + random.uniform(0.1, 60, (number, 2))], axis=1).astype(np.float32)
    # Neighbours are alike in real masks.
    masks = np.kron(random.random((number, 7, 7)), np.ones((4, 4))).astype(np.float32)
    expected = np.zeros((number, height, width), bool)
    for mask, box, image in zip(masks, boxes, expected):
        part, (rows, columns) = _do_paste_mask(
            torch.from_numpy(mask[None, None]), torch.from_numpy(box[None]), height, width, skip_empty=True
        )
        image[rows, columns] = part[0].numpy() >= 0.5
    found = paste_masks(masks, boxes, height, width, 0.5)
    assert expected.sum() > 5000
    # A pixel at the threshold may fall to either side of it.
    assert (found != expected).sum() <= 3


def test_masks_of_boxes_outside_or_of_an_overflow():
    boxes = np.array([[500, 500, 600, 600], [5, 5, 5, 5], [np.nan] * 4, [-np.inf, 0, np.inf, 9]], np.float32)
    found = paste_masks(np.ones((4, 28, 28), np.float32), boxes, 20, 30, 0.5)
    assert found.shape == (4, 20, 30) and not found[0].any()
