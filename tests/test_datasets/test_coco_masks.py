"""Checks of masks, compared with pycocotools, which decodes them."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from fishnet_mmdet.datasets.coco_masks import _decode_sums, mask_faults


def random_codes(count, seed=0):
    """Compressed RLEs of random pictures, from empty and full ones to noise."""
    rng = np.random.default_rng(seed)
    for at in range(count):
        height, width = rng.integers(1, 60, 2)
        picture = rng.random((height, width)) < rng.choice([0, 0.01, 0.5, 0.99, 1])
        if at % 3 == 0:
            picture = np.zeros((height * 20, width * 20), bool)
            picture[: height * 10, : width * 10] = True
        rle = coco_mask.encode(np.asfortranarray(picture, np.uint8))
        yield rle['counts'].decode(), picture.shape


def test_compressed_codes_describe_all_pixels():
    texts, shapes = zip(*random_codes(200))
    np.testing.assert_array_equal(_decode_sums(list(texts)), [height * width for height, width in shapes])


def test_each_code_is_decoded_alone():
    texts, shapes = zip(*random_codes(40, seed=1))
    texts = [*texts[:20], 'ü', *texts[20:], '']
    sums = _decode_sums(texts).tolist()
    assert sums[20] == sums[-1] == -1
    assert sums[:20] + sums[21:-1] == [height * width for height, width in shapes]


def test_damaged_codes_are_noticed_where_pycocotools_notices():
    """A changed character gives another number of pixels, or counts below zero; pycocotools refuses both, if not more."""
    rng = np.random.default_rng(2)
    texts, shapes = zip(*random_codes(60, seed=3))
    damaged = []
    for text in texts:
        at = rng.integers(len(text))
        damaged.append(text[:at] + chr(rng.integers(48, 112)) + text[at + 1 :])
    for text, shape, total in zip(damaged, shapes, _decode_sums(damaged)):
        if total == shape[0] * shape[1]:
            decoded = coco_mask.decode(dict(size=list(shape), counts=text.encode()))
            assert decoded.shape == shape and set(np.unique(decoded)) <= {0, 1}


@pytest.mark.parametrize('end', ['o', 'P', '\x00', '\x7f', ' '])
def test_codes_that_end_in_a_number_or_have_other_characters(end):
    (text, shape), *_ = random_codes(1)
    assert _decode_sums([text])[0] == shape[0] * shape[1]
    assert _decode_sums([text + end])[0] == -1


def test_polygons_of_one_file_do_not_mix():
    good, odd, short, far = [1, 1, 9, 1, 9, 9], [1, 1, 9, 1, 9], [1, 1, 9, 1], [1, 1, 1e6, 1, 9, 9]
    masks = [[good], [good, odd], [odd], None, [good, good, short], [short], [far], 'x', {}, [good, far], [[]], []]
    sizes = np.full(len(masks), 20)
    faults = {kind: np.flatnonzero(mark).tolist() for kind, mark in mask_faults(masks, sizes, sizes).items()}
    assert faults == dict(
        mask_missing=[2, 3, 5, 10, 11],
        mask_broken=[7],
        mask_polygon=[1, 2, 4, 5, 10],
        mask_far=[6, 9],
        rle_size=[8],
        rle_counts=[8],
    )
