"""Small ONNX files in the layout of the exported models. What they find can be computed by hand."""

import json

import onnx
from onnx import parser

#: Two objects: the whole image, with its mean brightness as the score, and its middle, with 0.5. Masks: bright pixels.
INSIDE = """
<ir_version: 8, opset_import: ["": 17]>
model (uint8[h, w, 3] image) => (float[n, 4] boxes, int64[n] labels, float[n] scores, uint8[n, h, w] masks)
<float[2, 4] parts = {0, 0, 1, 1, 0.25, 0.25, 0.75, 0.75}, float[1] half = {0.5}, int64[2] found = {0, 1},
 float top = {255.0}, int64[3] twice = {2, 1, 1}, float middle = {127.0}, int64[1] one = {1}, int64[1] first = {0}>
{
  shape = Shape <start = 0, end = 2> (image)
  sides = Cast <to = 1> (shape)
  height, width = Split <axis = 0> (sides)
  corners = Concat <axis = 0> (width, height, width, height)
  boxes = Mul (parts, corners)
  labels = Identity (found)
  values = Cast <to = 1> (image)
  mean = ReduceMean <keepdims = 0> (values)
  share = Div (mean, top)
  score = Reshape (share, one)
  scores = Concat <axis = 0> (score, half)
  grey = ReduceMean <axes = [2], keepdims = 0> (values)
  bright = Greater (grey, middle)
  numbers = Cast <to = 2> (bright)
  plane = Unsqueeze (numbers, first)
  masks = Tile (plane, twice)
}
"""
#: One object: the image after resizing, without its padding. Its score is the mean of what comes in, its mask the left half.
BESIDE = """
<ir_version: 8, opset_import: ["": 17]>
model (float[1, 3, h, w] image, int64[2] image_size)
=> (float[n, 4] boxes, int64[n] labels, float[n] scores, float[n, s, s] masks)
<float[2] corner = {0, 0}, int64[2] turned = {1, 0}, int64[1] found = {0}, int64[1] one = {1}, int64[2] row = {1, 4},
 float[1, 2, 2] halves = {1, 0, 1, 0}>
{
  size = Gather (image_size, turned)
  end = Cast <to = 1> (size)
  box = Concat <axis = 0> (corner, end)
  boxes = Reshape (box, row)
  labels = Identity (found)
  mean = ReduceMean <keepdims = 0> (image)
  scores = Reshape (mean, one)
  masks = Identity (halves)
}
"""
#: A classifier: the shares of blue, green and red.
CLASSIFIER = """
<ir_version: 8, opset_import: ["": 17]>
model (uint8[h, w, 3] image) => (float[3] scores)
<int64[2] axes = {0, 1}>
{
  values = Cast <to = 1> (image)
  sums = ReduceSum <keepdims = 0> (values, axes)
  all = ReduceSum <keepdims = 0> (sums)
  scores = Div (sums, all)
}
"""
#: A panoptic model: each pixel's green value is its label, as one segment.
PANOPTIC = """
<ir_version: 8, opset_import: ["": 17]>
model (uint8[h, w, 3] image) => (int64[h, w] panoptic)
<int64 channel = {1}>
{
  green = Gather <axis = 2> (image, channel)
  panoptic = Cast <to = 7> (green)
}
"""
PROPERTIES = dict(
    fishnet_mmdet='1',
    task='instance segmentation',
    classes='["cat", "dog"]',
    score_threshold='0.05',
    precision='float32',
    config='tiny.py',
    checkpoint='tiny.pth sha256:01234567',
    versions='{"fishnet_mmdet": "0.1.0"}',
    created='by a test',
    preprocessing='{"where": "inside"}',
)
BESIDE_STEPS = dict(
    where='beside',
    resize=dict(kind='Resize', scale=[64, 32], keep_ratio=True),
    bgr_to_rgb=True,
    mean=[0, 0, 0],
    std=[255, 255, 255],
    pad_divisor=32,
    pad_value=0,
)


def make(file, graph=INSIDE, weights=None, **properties):
    """Saves a model file and returns its name; a property of None is left out, weights are arrays by their names."""
    model = parser.parse_model(graph)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in (weights or {}).items())
    onnx.helper.set_model_props(model, {name: text for name, text in {**PROPERTIES, **properties}.items() if text is not None})
    onnx.checker.check_model(model)
    onnx.save(model, file)
    return file


def make_beside(file, **properties):
    """Saves a model file that leaves the preprocessing to the caller, and returns its name."""
    return make(file, BESIDE, **{'preprocessing': json.dumps(BESIDE_STEPS), **properties})
