"""Detector on small model files: what it finds, and what it says of wrong images."""

import cv2
import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

import model_files  # noqa: E402

from fishnet_mmdet.deploy import ClassScores, Detector, FishNetError, Objects, PanopticMap  # noqa: E402


@pytest.fixture
def image():
    """Bright on the left: 40 rows, 60 columns."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :15] = 255
    return image


@pytest.fixture
def detector(tmp_path):
    return Detector(model_files.make(tmp_path / 'model.onnx'), threads=1)


def test_objects_with_masks(detector, image):
    assert detector.task == 'instance segmentation' and detector.classes == ('cat', 'dog')
    found = detector(image)
    assert isinstance(found, Objects)
    boxes, labels, scores, masks = found
    np.testing.assert_array_equal(boxes, [[0, 0, 60, 40], [15, 10, 45, 30]])
    np.testing.assert_array_equal(labels, [0, 1])
    np.testing.assert_array_equal(scores, np.float32([0.25, 0.5]))
    np.testing.assert_array_equal(masks, [image[..., 0] > 127] * 2)
    assert [part.dtype for part in found] == [np.float32, np.int64, np.float32, bool]


def test_a_higher_threshold(detector, image):
    found = detector(image, score_threshold=0.3)
    assert found.labels.tolist() == [1] and len(found.boxes) == len(found.scores) == len(found.masks) == 1
    assert [part.shape for part in detector(image, score_threshold=0.9)] == [(0, 4), (0,), (0,), (0, 40, 60)]


def test_boxes_alone(tmp_path, image):
    found = Detector(model_files.make(tmp_path / 'model.onnx', task='detection'))(image, score_threshold=0.3)
    assert found.masks is None and found.labels.tolist() == [1]


def test_a_classifier(tmp_path, image):
    image[..., 1] //= 2
    found = Detector(model_files.make(tmp_path / 'model.onnx', model_files.CLASSIFIER, task='classification'))(image)
    assert isinstance(found, ClassScores)
    np.testing.assert_allclose(found.scores, np.array([255, 127, 255]) / 637, rtol=1e-6)


def test_a_panoptic_model(tmp_path, image):
    found = Detector(model_files.make(tmp_path / 'model.onnx', model_files.PANOPTIC, task='panoptic segmentation'))(image)
    assert isinstance(found, PanopticMap) and found.panoptic.dtype == np.int64
    np.testing.assert_array_equal(found.panoptic, image[..., 1])


def test_preprocessing_beside_the_graph(tmp_path, image):
    """The image becomes 32x48, padded to 32x64: the object is as large as the image, its score what is bright."""
    found = Detector(model_files.make_beside(tmp_path / 'model.onnx'))(image)
    np.testing.assert_allclose(found.boxes, [[0, 0, 60, 40]])
    np.testing.assert_allclose(found.scores, [12 / 64], atol=1e-3)
    assert found.masks.shape == (1, 40, 60)
    # Near the corners, bilinear interpolation takes zeros from beyond the mask.
    assert found.masks[0, 10:-10, :30].all() and not found.masks[0, :, 30:].any()


def test_an_array_a_file_grey_and_alpha(detector, image, tmp_path):
    grey = image[..., 0]
    cv2.imwrite(str(tmp_path / 'ä image.png'), image)
    alpha = np.concatenate([image, np.full((40, 60, 1), 9, np.uint8)], axis=2)
    cv2.imwrite(str(tmp_path / 'alpha.png'), alpha)
    whole = detector(image)
    for one in (tmp_path / 'ä image.png', str(tmp_path / 'alpha.png'), grey, grey[..., None], alpha, image[:, ::-1][:, ::-1]):
        for part, expected in zip(detector(one), whole):
            np.testing.assert_array_equal(part, expected)


def test_the_image_stays_as_it_is(detector, image):
    before = image.copy()
    detector(image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    'wrong, words',
    [
        (np.zeros((4, 4, 3), np.float32), ['uint8', 'float32']),
        (np.zeros((4, 4, 3), np.uint16), ['uint8', 'uint16']),
        (np.zeros((3, 4, 4), np.uint8)[None], ['(height, width, 3)', '(1, 3, 4, 4)']),
        (np.zeros((3, 4, 5), np.uint8), ['(height, width, 3)', '(3, 4, 5)']),
        (np.zeros((0, 4, 3), np.uint8), ['no pixels', '(0, 4, 3)']),
        (np.zeros(7, np.uint8), ['(height, width, 3)', '(7,']),
        ([[1, 2], [3, 4]], ['NumPy array', 'list']),
        (None, ['NumPy array', 'NoneType']),
        ('nowhere.jpg', ['nowhere.jpg', 'No such file']),
        ('.', ['directory']),
    ],
)
def test_a_wrong_image(detector, wrong, words):
    with pytest.raises(FishNetError) as error:
        detector(wrong)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize('content', [b'', b'no image', b'\x89PNG\r\n\x1a\n' + bytes(40)])
def test_a_file_that_is_no_image(detector, content, tmp_path):
    (tmp_path / 'image.png').write_bytes(content)
    with pytest.raises(FishNetError, match='image.png is not an image'):
        detector(tmp_path / 'image.png')


def test_an_image_that_the_graph_cannot_process(tmp_path, image):
    fixed = model_files.PANOPTIC.replace('uint8[h, w, 3]', 'uint8[8, 8, 3]').replace('int64[h, w]', 'int64[8, 8]')
    detector = Detector(model_files.make(tmp_path / 'model.onnx', fixed, task='panoptic segmentation'))
    with pytest.raises(FishNetError, match='model.onnx cannot process an image of 40x60 pixels: .*[Ii]nvalid dimensions'):
        detector(image)


def test_an_image_that_is_too_thin_to_resize(tmp_path):
    detector = Detector(model_files.make_beside(tmp_path / 'model.onnx'))
    with pytest.raises(FishNetError, match='1x5000 pixels is too thin: resized, it would have 0x64'):
        detector(np.zeros((1, 5000, 3), np.uint8))


def test_an_unknown_runtime(tmp_path):
    with pytest.raises(FishNetError, match="no runtime 'tensorflow': choose from onnxruntime, openvino"):
        Detector(model_files.make(tmp_path / 'model.onnx'), runtime='tensorflow')


def test_int8_is_for_onnx_runtime(tmp_path):
    file = model_files.make(tmp_path / 'model.onnx', precision='int8')
    Detector(file, threads=1)
    with pytest.raises(FishNetError, match='int8, which OpenVINO computes wrongly'):
        Detector(file, runtime='openvino')


@pytest.mark.parametrize('make', [model_files.make, model_files.make_beside])
def test_openvino_finds_the_same(make, image, tmp_path):
    pytest.importorskip('openvino')
    file = make(tmp_path / 'model.onnx')
    detectors = [Detector(file, threads=1, runtime=runtime) for runtime in ('onnxruntime', 'openvino')]
    first, *_ = found = [detector(image) for detector in detectors]
    for part, expected in zip(*reversed(found)):
        assert part.dtype == expected.dtype
        np.testing.assert_allclose(part, expected, rtol=1e-5)
    # Each result has memory of its own.
    detectors[1](255 - image)
    np.testing.assert_allclose(found[1].scores, first.scores, rtol=1e-5)
