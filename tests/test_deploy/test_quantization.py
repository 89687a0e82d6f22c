"""int8 files of small networks: what becomes int8, what stays, and how near the results are."""

import json

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

import model_files  # noqa: E402

from fishnet_mmdet.deploy import Detector, FishNetError  # noqa: E402
from fishnet_mmdet.deploy.metadata import read_metadata  # noqa: E402
from fishnet_mmdet.deploy.quantization import quantize  # noqa: E402

#: A classifier with two convolutions and a linear layer, and a product of two activations, which is no layer.
INSIDE = """
<ir_version: 8, opset_import: ["": 17]>
model (uint8[h, w, 3] image) => (float[4] scores)
{
  values = Cast <to = 1> (image)
  scaled = Div (values, top)
  planes = Transpose <perm = [2, 0, 1]> (scaled)
  batch = Unsqueeze (planes, first)
  one = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (batch, first_weight)
  two = Relu (one)
  three = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (two, second_weight)
  four = Relu (three)
  pooled = GlobalAveragePool (four)
  row = Reshape (pooled, flat)
  column = Reshape (row, upright)
  outer = MatMul (column, row)
  mean = ReduceMean <axes = [0], keepdims = 1> (outer)
  logits = Gemm (mean, last_weight)
  both = Softmax (logits)
  scores = Reshape (both, all)
}
"""


@pytest.fixture
def images():
    random = np.random.default_rng(0)
    return [
        np.kron(random.integers(0, 256, (6, 7, 3)), np.ones((8, 8, 1))).astype(np.uint8)[:, : 40 + number]
        for number in range(8)
    ]


@pytest.fixture
def file(tmp_path):
    """The network with random weights."""
    random = np.random.default_rng(1)
    weights = dict(
        top=np.float32(255),
        first=np.array([0]),
        flat=np.array([1, -1]),
        upright=np.array([-1, 1]),
        all=np.array([-1]),
        first_weight=random.normal(0, 0.3, (64, 3, 3, 3)).astype(np.float32),
        second_weight=random.normal(0, 0.1, (32, 64, 3, 3)).astype(np.float32),
        last_weight=random.normal(0, 1, (32, 4)).astype(np.float32),
    )
    return model_files.make(tmp_path / 'float.onnx', INSIDE, weights, task='classification', classes='["a", "b", "c", "d"]')


def layers(file):
    """The operators of a file by the number of their inputs that were whole numbers of 8 bits."""
    model = onnx.load(file)
    made = {output: node for node in model.graph.node for output in node.output}
    kinds = [one for one in model.graph.node if one.op_type in ('Conv', 'MatMul', 'Gemm')]
    return {
        node.output[0].replace('_QuantizeLinear_Input', ''): sum(
            made.get(name) is not None and made[name].op_type == 'DequantizeLinear' for name in node.input
        )
        for node in kinds
    }


def test_layers_become_int8(file, images, tmp_path):
    out = quantize(file, tmp_path / 'int8.onnx', images)
    assert layers(out) == dict(one=2, three=2, outer=0, logits=2)
    assert read_metadata(out).properties == {**read_metadata(file).properties, 'precision': 'int8'}
    assert out.stat().st_size < 0.6 * file.stat().st_size
    exact, whole = Detector(file, threads=1), Detector(out, threads=1)
    for image in images:
        expected, found = exact(image).scores, whole(image).scores
        assert 0 < np.abs(found - expected).max() < 0.02


def test_the_images_decide_the_ranges(file, images, tmp_path):
    """Calibrated on black images, everything brighter is cut off."""
    black = quantize(file, tmp_path / 'black.onnx', [np.zeros((40, 40, 3), np.uint8)])
    exact, wrong = Detector(file, threads=1), Detector(black, threads=1)
    assert max(np.abs(wrong(image).scores - exact(image).scores).max() for image in images) > 0.1


def test_images_from_files_and_preprocessing_beside(images, tmp_path):
    import cv2

    for number, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f'{number}.png'), image)
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    model (float[1, 3, h, w] image) => (float[8] scores)
    {
      one = Conv <pads = [1, 1, 1, 1]> (image, weight)
      pooled = GlobalAveragePool (one)
      scores = Reshape (pooled, all)
    }
    """
    weights = dict(weight=np.random.default_rng(0).normal(0, 1, (8, 3, 3, 3)).astype(np.float32), all=np.array([-1]))
    file = model_files.make(
        tmp_path / 'float.onnx', text, weights, task='classification', preprocessing=json.dumps(model_files.BESIDE_STEPS)
    )
    out = quantize(file, tmp_path / 'int8.onnx', sorted(tmp_path.glob('*.png')))
    for image in images:
        np.testing.assert_allclose(Detector(out)(image).scores, Detector(file)(image).scores, atol=0.1)


def test_refusals(file, images, tmp_path):
    out = tmp_path / 'int8.onnx'
    for wrong, given, words in (
        (file, [], 'images of the training set, and there is none'),
        (file, ['nowhere.png'], 'nowhere.png cannot be read'),
        (model_files.make(tmp_path / 'a.onnx'), images, 'no layer that can compute in int8'),
        (model_files.make(tmp_path / 'b.onnx', precision='float16'), images, 'is in float16'),
        (model_files.make(tmp_path / 'c.onnx', fishnet_mmdet=None), images, 'was not made by fishnet_mmdet'),
    ):
        with pytest.raises(FishNetError, match=words):
            quantize(wrong, out, given)
        assert not out.exists()
