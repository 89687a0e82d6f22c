"""The sizes of images for small objects, and their boxes and masks."""

import numpy as np
import pytest
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks

from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.registry import TRANSFORMS


def enlarged(height, width, **arguments):
    """An image of this size after the transform; its left upper quarter is an object."""
    mask = np.zeros((1, height, width), np.uint8)
    mask[0, : height // 2, : width // 2] = 1
    return TRANSFORMS.build(dict(type='Enlarge', **arguments))(
        dict(
            img=np.zeros((height, width, 3), np.uint8),
            gt_bboxes=HorizontalBoxes(np.array([[0, 0, width // 2, height // 2]], np.float32)),
            gt_masks=BitmapMasks(mask, height, width),
        )
    )


@pytest.mark.parametrize(
    'before, after',
    [
        ((256, 320), (512, 640)),  # small: the shorter side becomes 512
        ((520, 696), (520, 696)),  # large enough
        ((1024, 1024), (1024, 1024)),
        ((4096, 2048), (2048, 1024)),  # too large
        ((100, 2000), (102, 2048)),  # both: the longer side decides
        ((1, 9000), (1, 2048)),
    ],
)
def test_sizes(before, after):
    results = enlarged(*before, shorter=512)
    assert results['img'].shape == (*after, 3) and results['img_shape'] == after
    assert results['scale_factor'] == (after[1] / before[1], after[0] / before[0])


def test_boxes_and_masks_follow():
    results = enlarged(60, 80, shorter=120)
    assert results['gt_bboxes'].tensor.tolist() == [[0, 0, 80, 60]]
    (mask,) = results['gt_masks'].masks
    assert mask.shape == (120, 160) and mask[:60, :80].all() and mask.sum() == 60 * 80


def test_random_factor():
    np.random.seed(0)
    heights = [enlarged(100, 100, shorter=100, ratio_range=(0.5, 1.5))['img'].shape[0] for _ in range(50)]
    assert 50 <= min(heights) < 60 and 140 < max(heights) <= 150


@pytest.mark.parametrize(
    'wrong',
    [dict(shorter=0), dict(shorter=512, longer=500), dict(shorter=9, ratio_range=(2, 1)), dict(shorter=9, ratio_range=(1,))],
)
def test_wrong_arguments(wrong):
    with pytest.raises(FishNetError, match='Enlarge'):
        TRANSFORMS.build(dict(type='Enlarge', **wrong))
