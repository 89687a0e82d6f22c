"""Faulty image files, and when training stops because of them."""

import io

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from PIL import Image

from fishnet_mmdet.datasets.reading import ENOUGH_FAULTY, IN_A_ROW, FaultyImages, LoadImage, read_content, read_image
from fishnet_mmdet.errors import FishNetError


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp', '.webp', '.tiff'])
def test_whole_and_truncated_files(tmp_path, picture, suffix):
    file = tmp_path / f'image{suffix}'
    data = cv2.imencode(suffix, picture)[1].tobytes()
    file.write_bytes(data)
    assert read_content(str(file)).problem is None
    np.testing.assert_array_equal(read_image(str(file)), cv2.imread(str(file)))
    file.write_bytes(data[: len(data) * 2 // 3])
    if suffix in ('.jpg', '.png'):
        assert read_content(str(file)).problem == 'is truncated' and read_image(str(file)) is None


def test_previews_and_bytes_behind_the_picture(tmp_path, picture):
    preview = io.BytesIO()
    Image.fromarray(picture[:8, :8]).save(preview, 'jpeg')
    whole = io.BytesIO()
    # A marker of the header with a whole JPEG inside, as EXIF has it.
    Image.fromarray(picture).save(whole, 'jpeg', exif=b'Exif\x00\x00' + preview.getvalue())
    file = tmp_path / 'image.jpg'
    for data, problem in (
        (whole.getvalue(), None),
        (whole.getvalue() + b'trailer', None),
        (whole.getvalue()[:-300], 'is truncated'),
    ):
        file.write_bytes(data)
        assert read_content(str(file)).problem == problem


def test_loads_as_mmcv_does(tmp_path, picture):
    file = str(tmp_path / 'image.png')
    for image in (picture, picture[..., 0], np.dstack([picture, picture[..., :1]]), picture.astype(np.uint16) * 257):
        cv2.imwrite(file, image)
        for arguments in (dict(), dict(to_float32=True), dict(imdecode_backend='pillow'), dict(color_type='grayscale')):
            load = LoadImageFromFile(**arguments)
            expected, found = load(dict(img_path=file)), LoadImage(load, FaultyImages())(dict(img_path=file))
            assert found.keys() == expected.keys() and found['img'].dtype == expected['img'].dtype
            np.testing.assert_array_equal(found['img'], expected['img'])
            assert (found['img_shape'], found['ori_shape']) == (expected['img_shape'], expected['ori_shape'])


def test_training_stops_when_too_many_images_are_faulty(mmengine_log):
    faulty = FaultyImages(skip=True)
    # One in eleven is skipped, and named once.
    for at in range(30 * 11):
        faulty.bad(f'{at}.png', 'is missing') if at % 11 == 0 else faulty.good()
    assert len(faulty.faulty) == 30 and mmengine_log.text.count('is missing: skipped') == 30
    faulty.bad('0.png', 'is missing')
    assert mmengine_log.text.count('is missing: skipped') == 30
    with pytest.raises(FishNetError, match='of the [0-9]+ images that were read are faulty, more than 10%: the last is .*png'):
        for at in range(30):
            faulty.bad(f'more{at}.png', 'is missing')


def test_few_faulty_images_do_not_stop_a_small_data_set():
    faulty = FaultyImages(skip=True)
    for _ in range(100):
        for at in range(ENOUGH_FAULTY - 1):
            faulty.bad(f'{at}.png', 'is missing')
        faulty.good()


def test_a_data_set_without_any_image():
    faulty = FaultyImages(skip=True)
    with pytest.raises(FishNetError, match=f'2 of the {IN_A_ROW} images that were read are faulty'):
        for at in range(1000):
            faulty.bad(f'{at % 2}.png', 'is missing')
