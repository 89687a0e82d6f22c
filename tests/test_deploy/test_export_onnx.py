"""Whole models as ONNX files: what they find, beside PyTorch."""

import copy
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from conftest import REPO, TINY_FISH
from exporting import require_packages
from mmengine.config import Config

from fishnet_mmdet.errors import FishNetError

require_packages()

import onnx  # noqa: E402
from mmdet.registry import MODELS  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402

from fishnet_mmdet.commands import export_onnx  # noqa: E402
from fishnet_mmdet.deploy.export import export, verify  # noqa: E402
from fishnet_mmdet.deploy.export.comparing import Session, by_pytorch, compare, worst  # noqa: E402
from fishnet_mmdet.deploy.export.detectors import as_network  # noqa: E402
from fishnet_mmdet.deploy.export.half import to_float16  # noqa: E402
from fishnet_mmdet.deploy.export.metadata import read_metadata  # noqa: E402
from fishnet_mmdet.engine.configs import read_config  # noqa: E402
from fishnet_mmdet.inference import Predictor, find_model  # noqa: E402

IMAGES = sorted((REPO / 'demo/nuclei/val').iterdir())[:3]
#: What an image without any object looks like to the detector of nuclei.
EMPTY = np.full((90, 130, 3), 3, np.uint8)


def predictor_of(config, checkpoint=None):
    config, checkpoint = find_model(config, checkpoint)
    return Predictor(read_config(config), checkpoint, 'cpu')


@pytest.fixture(autouse=True)
def scope(own_state):
    """What the commands set: the names in a config are first looked up in mmdet."""
    init_default_scope('mmdet')


@pytest.fixture(scope='module')
def nuclei():
    return predictor_of('nuclei')


@pytest.fixture(scope='module')
def by_command(tmp_path_factory):
    """What the command writes and prints for the detector `nuclei`."""
    file = tmp_path_factory.mktemp('exported') / 'folder/nuclei.onnx'
    command = [sys.executable, REPO / 'tools/deployment/export_onnx.py', 'nuclei', '-o', file, '--image', IMAGES[0]]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
    return onnx.load(file), done.stdout


@pytest.fixture(scope='module')
def exported(nuclei, by_command):
    """The detector `nuclei` as ONNX, by the place of its preprocessing."""
    return dict(inside=by_command[0], beside=export(nuclei.model, nuclei.model.cfg, 'beside'))


def differences(predictor, model, images):
    session = Session(model)
    return [compare(by_pytorch(predictor, image), session(image)) for image in images]


@pytest.mark.parametrize('where', ['inside', 'beside'])
def test_finds_the_same_nuclei(where, nuclei, exported):
    found = worst(differences(nuclei, exported[where], [cv2.imread(str(file)) for file in IMAGES]))
    assert found.objects > 50 and found.alone == 0
    assert found.box < 0.01 and found.score < 1e-4 and found.mask > 0.99


@pytest.mark.parametrize('where', ['inside', 'beside'])
def test_an_image_without_objects(where, nuclei, exported):
    assert len(by_pytorch(nuclei, EMPTY)['scores']) == 0
    outputs = Session(exported[where])(EMPTY)
    assert {name: value.shape for name, value in outputs.items()} == dict(
        boxes=(0, 4), labels=(0,), scores=(0,), masks=(0, 90, 130)
    )


def test_the_file_has_standard_operators_and_all_metadata(exported):
    for where, model in exported.items():
        onnx.checker.check_model(model, full_check=True)
        assert {node.domain for node in model.graph.node} == {''} and not model.functions
        assert [(one.domain, one.version >= 17) for one in model.opset_import] == [('', True)]
        names = [one.name for one in model.graph.input]
        assert names == (['image'] if where == 'inside' else ['image', 'image_size'])
        assert [one.name for one in model.graph.output] == ['boxes', 'labels', 'scores', 'masks']
        axes = {
            value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in (*model.graph.input, *model.graph.output)
        }
        assert axes['boxes'] == ['objects', 4] and axes['labels'] == ['objects']
        assert axes['image'] == (['height', 'width', 3] if where == 'inside' else [1, 3, 'height', 'width'])
        assert axes['masks'] == ['objects', *(('height', 'width') if where == 'inside' else (28, 28))]
        metadata = read_metadata(model)
        assert metadata['fishnet_mmdet'] == '1' and metadata['task'] == 'instance segmentation'
        assert json.loads(metadata['classes']) == ['nucleus'] and float(metadata['score_threshold']) == 0.05
        steps = json.loads(metadata['preprocessing'])
        assert steps['where'] == where and steps['resize']['kind'] == 'Enlarge'


def test_the_size_is_that_of_the_weights(nuclei, exported):
    weights = sum(4 * tensor.numel() for tensor in nuclei.model.state_dict().values() if tensor.is_floating_point())
    assert exported['inside'].ByteSize() < 1.05 * weights


def test_float16(nuclei, exported):
    model = to_float16(copy.deepcopy(exported['inside']))
    onnx.checker.check_model(model, full_check=True)
    assert model.ByteSize() < 0.55 * exported['inside'].ByteSize()
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.output}
    assert kinds == {value.name: value.type.tensor_type.elem_type for value in exported['inside'].graph.output}
    found = worst(differences(nuclei, model, [cv2.imread(str(file)) for file in IMAGES]))
    assert found.objects > 50 and found.alone <= 0.1 * found.objects
    # Where two boxes of an object have almost the same score, the other one can stay.
    assert 0 < found.score < 0.3


def test_another_model_is_not_taken_for_the_same(nuclei, exported):
    model = copy.deepcopy(exported['inside'])
    weight = next(tensor for tensor in model.graph.initializer if tensor.name.endswith('fc_cls.weight'))
    values = onnx.numpy_helper.to_array(weight) * np.float32(1.01)
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    with pytest.raises(FishNetError, match='differs from PyTorch, so it was not saved'):
        verify(model, nuclei, cv2.imread(str(IMAGES[0])))


#: Changes that give the models of mmdet's configs a tiny fish.
SMALL = dict(
    backbone=dict(
        _delete_=True,
        type='fishnet_mmdet.FishNet',
        arch=TINY_FISH,
        norm_cfg=dict(type='BN'),
        norm_eval=False,
        frozen_stages=-1,
    ),
    neck=dict(in_channels=[32, 64, 112, 144], out_channels=32, num_outs=3),
)
HEAD = dict(num_classes=3, in_channels=32, feat_channels=32, stacked_convs=1)
#: Three levels instead of five, which takes two thirds of the time.
STRIDES = [8, 16, 32]
HEADS_OF_MMDET = {
    'retinanet/retinanet_r50_fpn_1x_coco.py': dict(anchor_generator=dict(strides=STRIDES)),
    'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py': dict(strides=STRIDES, regress_ranges=((-1, 64), (64, 128), (128, 1e8))),
    'atss/atss_r50_fpn_1x_coco.py': dict(anchor_generator=dict(strides=STRIDES)),
}


def from_mmdet(name):
    """A model with random weights that differ enough for scores to differ."""
    init_default_scope('mmdet')
    from mmengine.hub import get_config

    cfg = get_config(f'mmdet::{name}')
    changes = dict(SMALL, bbox_head=dict(HEAD, **HEADS_OF_MMDET[name]), test_cfg=dict(score_thr=0.0, nms_pre=50))
    # merge_from_dict removes _delete_ from what it is given.
    cfg.merge_from_dict(dict(model=copy.deepcopy(changes)))
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    model.init_weights()
    for parameter in model.bbox_head.parameters():
        if parameter.ndim > 1:
            # More would give many scores of exactly 1, whose order is left to chance.
            torch.nn.init.normal_(parameter, std=0.03)
    model.cfg = cfg
    model.dataset_meta = dict(classes=('a', 'b', 'c'))
    resize = next(step for step in cfg.test_dataloader.dataset.pipeline if step.type == 'Resize')
    # So large that group norm has more than one value on the smallest level.
    resize.scale = (320, 192)
    return model


class Found:
    """A predictor of a model that has no checkpoint."""

    def __init__(self, model):
        self.model = model

    def __call__(self, image):
        from mmdet.apis import inference_detector

        return inference_detector(self.model, image)


@pytest.mark.parametrize('name', HEADS_OF_MMDET)
def test_heads_of_one_stage(name):
    model = from_mmdet(name)
    image = cv2.imread(str(IMAGES[0]))
    found = compare(by_pytorch(Found(model), image), Session(export(model, model.cfg))(image))
    assert found.objects > 20 and found.alone <= 2
    assert found.box < 0.01 and found.score < 1e-4


@pytest.mark.parametrize(
    'name, words',
    [
        ('detr/detr_r50_8xb2-150e_coco.py', 'a model of another kind|with another predict'),
        ('gfl/gfl_r50_fpn_1x_coco.py', 'GFLHead is a BaseDenseHead with another _predict_by_feat_single'),
        ('htc/htc-without-semantic_r50_fpn_1x_coco.py', 'HybridTaskCascadeRoIHead is'),
        ('yolox/yolox_s_8xb8-300e_coco.py', 'YOLOXHead is a BaseDenseHead with another predict_by_feat'),
    ],
)
def test_models_that_are_refused(name, words):
    from mmengine.hub import get_config

    init_default_scope('mmdet')
    cfg = get_config(f'mmdet::{name}')
    if 'backbone' in cfg.model:
        cfg.model.backbone.init_cfg = None
    with pytest.raises(FishNetError, match=f'cannot be exported: .*({words})'):
        as_network(MODELS.build(cfg.model))


@pytest.mark.parametrize('fixed', [True, False])
def test_classifiers(fixed, tmp_path):
    head = dict(type='fishnet_mmdet.ClassificationHead', num_classes=4, dense_size=(2, 3) if fixed else None)
    model = dict(
        type='fishnet_mmdet.Classifier',
        data_preprocessor=dict(type='ImgDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True),
        backbone=dict(SMALL['backbone'], out_indices=(3,)),
        cls_head=head,
    )
    model['backbone'].pop('_delete_')
    steps = [dict(type='Resize', scale=(96, 64), keep_ratio=False)] if fixed else []
    pipeline = [dict(type='LoadImageFromFile'), *steps, dict(type='fishnet_mmdet.PackInputs')]
    cfg = Config(dict(model=model, test_dataloader=dict(dataset=dict(pipeline=pipeline))))
    init_default_scope('mmdet')
    torch.manual_seed(0)
    net = MODELS.build(cfg.model)
    net.init_weights()
    checkpoint = tmp_path / 'classifier.pth'
    torch.save(dict(state_dict=net.state_dict(), meta=dict(dataset_meta=dict(classes=tuple('abcd')))), checkpoint)
    predictor = Predictor(cfg, str(checkpoint), 'cpu')
    for where in ('inside', 'beside'):
        found = compare(by_pytorch(predictor, IMAGE), Session(export(predictor.model, cfg, where))(IMAGE))
        assert found.objects == 1 and found.score < 1e-5


IMAGE = np.random.default_rng(0).integers(0, 256, (70, 100, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['nuclei', '-o', 'a.pt'], 'must be a file that ends with .onnx'),
        (['nuclei'], 'the following arguments are required: -o'),
        (['nuclei', '-o', 'a.onnx', '--precision', 'int8'], '--precision int8 needs --calibration DIR'),
        (['nuclei', '-o', 'a.onnx', '--precision', 'int8', '--calibration', 'none'], 'there is no image or folder none'),
        (['nuclei', '-o', 'a.onnx', '--image', 'none.jpg'], 'the image none.jpg cannot be read'),
        (['nowhere.py', 'b.pth', '-o', 'a.onnx'], 'there is no config file nowhere.py'),
        (['nuclei', '-o', 'a.onnx', '--precision', 'float8'], 'invalid choice'),
    ],
)
def test_wrong_arguments(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FishNetError, match=words):
        export_onnx.main(arguments)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(export_onnx, 'PACKAGES', ('onnx', 'no_such_package'))
    with pytest.raises(FishNetError, match='export_onnx needs no_such_package: pip install no_such_package'):
        export_onnx.check_packages()


def test_the_command(by_command):
    model, text = by_command
    assert 'objects in both, 0 in one of them' in text and '8.7 MB, float32' in text
    metadata = read_metadata(model)
    assert metadata['config'] == 'mask_rcnn_fishnet77_nuclei.py' and metadata['created'] == 'fishnet_mmdet export_onnx'
    assert metadata['checkpoint'].startswith('nuclei-3d2eabca.safetensors sha256:3d2eabca')
