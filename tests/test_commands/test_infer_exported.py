"""infer with exported models: the files that a checkpoint gives, and what is refused."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

import model_files  # noqa: E402
from pycocotools import mask as coco_mask  # noqa: E402

from fishnet_mmdet.commands.infer import main  # noqa: E402
from fishnet_mmdet.errors import FishNetError  # noqa: E402


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two images of 40 rows and 60 columns: bright on the left, and dark."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'images').mkdir()
    image = np.zeros((40, 60, 3), np.uint8)
    cv2.imwrite('images/dark.png', image)
    image[:, :30] = 255
    cv2.imwrite('images/bright.png', image)
    return tmp_path


def predictions():
    with open('out/predictions.json') as opened:
        return json.load(opened)


@pytest.mark.parametrize('order', [('images', 'model.onnx'), ('model.onnx', 'images')])
def test_objects(folder, order, capsys):
    model_files.make('model.onnx')
    main([*order, '--out-dir', 'out', '--report', '--device', 'cpu', '--score-thr', '0.4'])
    assert '3 instances with a score of at least 0.4 drawn, all 4 saved' in capsys.readouterr().out
    found = predictions()
    assert [one['file_name'] for one in found['images']] == ['bright.png', 'dark.png']
    assert found['categories'] == [dict(id=1, name='cat'), dict(id=2, name='dog')]
    bright = [one for one in found['annotations'] if one['image_id'] == 1]
    assert [one['category_id'] for one in bright] == [1, 2] and [one['score'] for one in bright] == [0.5, 0.5]
    assert bright[1]['bbox'] == [15, 10, 30, 20]
    assert coco_mask.decode(bright[0]['segmentation'])[:, :30].all() and bright[0]['area'] == 40 * 30
    picture = cv2.imread('out/bright.png')
    assert picture.shape[0] > 40 and picture.std() > 0
    page, summary = (folder / 'out/report' / name for name in ('index.html', 'data/summary.js'))
    assert page.is_file()
    for word in ('tiny.py', 'tiny.pth', 'model.onnx', 'onnxruntime', 'by a test', 'SHA-256 of the model'):
        assert word in summary.read_text()


def test_the_numbers_of_the_training_s_categories(folder):
    model_files.make('model.onnx', category_ids='[7, 3]')
    main(['images', 'model.onnx', '--out-dir', 'out'])
    assert predictions()['categories'] == [dict(id=7, name='cat'), dict(id=3, name='dog')]
    assert {one['category_id'] for one in predictions()['annotations']} == {3, 7}


def test_classes(folder):
    model_files.make('model.onnx', model_files.CLASSIFIER, task='classification', classes='["blue", "green", "red"]')
    main(['images/bright.png', 'model.onnx', '--out-dir', 'out'])
    found = predictions()
    assert found['classes'] == ['blue', 'green', 'red']
    np.testing.assert_allclose([one['score'] for one in found['predictions'][0]['classes']], [1 / 3] * 3, rtol=1e-5)


def test_segments(folder):
    cv2.imwrite(
        'images/labels.png', np.kron([[0, 1], [1, 2]], np.ones((10, 10)))[..., None].repeat(3, axis=2).astype(np.uint8)
    )
    properties = dict(task='panoptic segmentation', classes='["cat", "sky"]', thing_classes='["cat"]')
    model_files.make('model.onnx', model_files.PANOPTIC, **properties)
    main(['images/labels.png', 'model.onnx', '--out-dir', 'out'])
    found = predictions()
    assert [one['isthing'] for one in found['categories']] == [1, 0]
    # The third label is none of the two classes: no segment.
    assert [(one['category_id'], one['area']) for one in found['annotations'][0]['segments_info']] == [(1, 100), (2, 200)]
    assert cv2.imread('out/labels_segments.png').shape == (20, 20, 3)


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['images', 'model.onnx', 'weights.pth'], 'no checkpoint: remove CHECKPOINT'),
        (['images', 'model.onnx', '--cfg-options', 'a=1'], 'remove --cfg-options'),
        (['images', 'nowhere.onnx'], 'nowhere.onnx cannot be read: No such file'),
        (['nowhere', 'model.onnx'], 'no image or folder nowhere'),
        (['model.onnx', 'nowhere'], 'no image or folder nowhere'),
        (['images', 'text.onnx'], 'text.onnx is not an ONNX file'),
        (['images', 'other.onnx'], 'was not made by fishnet_mmdet'),
    ],
)
def test_refusals(folder, arguments, words):
    model_files.make('model.onnx')
    model_files.make('other.onnx', fishnet_mmdet=None)
    (folder / 'text.onnx').write_text('text')
    with pytest.raises(FishNetError, match=words):
        main([*arguments, '--out-dir', 'out'])
    assert not (folder / 'out').exists()


def test_a_gpu_is_refused(folder, monkeypatch):
    monkeypatch.setattr('fishnet_mmdet.commands.infer.device', str)
    model_files.make('model.onnx')
    with pytest.raises(FishNetError, match='--device cuda:0: exported models run on the CPU'):
        main(['images', 'model.onnx', '--device', 'cuda:0'])


def test_a_segmentation_has_no_page(folder):
    model_files.make('model.onnx', model_files.PANOPTIC, task='panoptic segmentation')
    with pytest.raises(FishNetError, match='--report shows boxes, masks and classes'):
        main(['images', 'model.onnx', '--out-dir', 'out', '--report'])
