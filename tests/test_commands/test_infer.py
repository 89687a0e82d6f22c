"""infer with the trained model that comes with the package: what it finds is compared with people's annotations."""

import json
import socket

import cv2
import numpy as np
import pytest
from conftest import REPO
from pycocotools import mask as coco_mask

from fishnet_mmdet.commands.infer import main
from fishnet_mmdet.errors import FishNetError
from fishnet_mmdet.inference import TRAINED, find_model

VAL = REPO / 'demo/nuclei'


@pytest.fixture
def offline(monkeypatch):
    """Every connection fails."""

    def refuse(*_):
        raise OSError('this test has no network')

    monkeypatch.setattr(socket.socket, 'connect', refuse)


@pytest.mark.parametrize('kind, share', [('fluorescence', 0.7), ('stained tissue', 0.6)])
def test_the_named_model_finds_nuclei(kind, share, offline, tmp_path, monkeypatch):
    """On validation images: at least this share of the nuclei is found, and of the finds is right."""
    monkeypatch.chdir(tmp_path)
    truth = json.loads((VAL / 'annotations/instances_val.json').read_text())
    of_image = {image['id']: [] for image in truth['images']}
    for one in truth['annotations']:
        of_image[one['image_id']].append(one['segmentation'])
    # Small images, which take a second each.
    images = [image for image in truth['images'] if image['kind'] == kind and image['width'] <= 360][:6]
    (tmp_path / 'images').mkdir()
    for image in images:
        (tmp_path / 'images' / image['file_name']).write_bytes((VAL / 'val' / image['file_name']).read_bytes())

    main(['images', 'nuclei', '--score-thr', '0.5'])

    found = json.loads((tmp_path / 'work_dirs/infer/predictions.json').read_text())
    assert found['categories'] == [dict(id=1, name='nucleus')]
    names = {image['file_name']: image['id'] for image in found['images']}
    assert len(names) == len(images) == 6
    hits = misses = false = 0
    for image in images:
        masks = [
            one['segmentation']
            for one in found['annotations']
            if one['image_id'] == names[image['file_name']] and one['score'] >= 0.5
        ]
        annotated = of_image[image['id']]
        overlaps = coco_mask.iou(masks, annotated, [0] * len(annotated)) > 0.5
        # A mask that overlaps a nucleus by more than half overlaps no other so, as annotated nuclei are disjoint.
        assert (overlaps.sum(1) <= 1).all()
        hits += overlaps.any(0).sum()
        misses += len(annotated) - overlaps.any(0).sum()
        false += len(masks) - overlaps.any(1).sum()
        picture = cv2.imread(str(tmp_path / 'work_dirs/infer' / image['file_name'].replace('.jpg', '.png')))
        assert picture is not None and picture.std() > 0
    assert hits / (hits + misses) > share and hits / (hits + false) > share, (hits, misses, false)


def test_a_name_or_a_config_with_its_checkpoint():
    config, weights = find_model('nuclei')
    assert config == str(REPO / 'configs' / TRAINED['nuclei'].config)
    assert weights.startswith(str(REPO / 'fishnet_mmdet/trained'))
    assert find_model('a.py', 'a.pth') == ('a.py', 'a.pth')
    with pytest.raises(FishNetError, match='a.py needs a checkpoint.*nuclei'):
        find_model('a.py')


def test_the_weights_are_small_and_half_precision():
    from safetensors.torch import load_file

    file = find_model('nuclei')[1]
    tensors = load_file(file)
    assert sum(tensor.numel() for tensor in tensors.values()) > 1e6
    with open(file, 'rb') as opened:
        assert len(opened.read()) < 6e6
    assert all(np.isfinite(tensor.float().numpy()).all() for tensor in tensors.values())
