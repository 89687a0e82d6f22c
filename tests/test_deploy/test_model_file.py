"""Files that are no model file of ours, or a dangerous one: one clear message, before ONNX Runtime opens them."""

import json
import sys

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

import model_files  # noqa: E402

from fishnet_mmdet.deploy import Detector, FishNetError, session  # noqa: E402
from fishnet_mmdet.deploy.metadata import read_metadata  # noqa: E402

STEPS = model_files.BESIDE_STEPS


@pytest.fixture
def file(tmp_path):
    return tmp_path / 'model.onnx'


@pytest.fixture
def unopened(monkeypatch):
    """ONNX Runtime opens nothing."""
    monkeypatch.setattr(session, 'load_runtime', lambda name: pytest.fail('ONNX Runtime was asked to open the file'))


def refusal(file):
    with pytest.raises(FishNetError) as error:
        Detector(file)
    message = str(error.value)
    assert '\n' not in message and file.name in message
    return message


def test_the_metadata_of_a_file(file):
    model_files.make_beside(file, category_ids='[3, 7]', mask_threshold='0.4')
    metadata = read_metadata(file)
    assert metadata.task == 'instance segmentation' and metadata.classes == ('cat', 'dog')
    assert metadata.score_threshold == 0.05 and metadata.mask_threshold == 0.4 and metadata.category_ids == [3, 7]
    assert metadata.steps.bgr_to_rgb and metadata.steps.pad_divisor == 32
    assert metadata.properties['checkpoint'] == 'tiny.pth sha256:01234567'


@pytest.mark.parametrize(
    'content, words',
    [
        (b'', 'not an ONNX file'),
        (b'PK\x03\x04 a checkpoint', 'not an ONNX file'),
        (b'<html>', 'not an ONNX file'),
        (b'\x08', 'damaged'),
        (b'\x08\x08', 'damaged'),
        (b'\x08\x08\x3a\x05abc', 'damaged'),
        (b'\x08' + b'\xff' * 20, 'damaged'),
    ],
)
def test_no_onnx_file(file, content, words, unopened):
    file.write_bytes(content)
    assert words in refusal(file)


def test_no_file_and_a_folder(file, unopened):
    assert 'No such file' in refusal(file)
    file.mkdir()
    assert 'directory' in refusal(file)


def test_every_cut_is_noticed(file):
    """At each length the file is damaged; weights at the end of a message are its last bytes."""
    content = model_files.make(file).read_bytes()
    for length in range(1, len(content), 7):
        file.write_bytes(content[:length])
        refusal(file)


def test_changed_bytes(file):
    """A changed file is refused, or its metadata can be read: no other error, and no endless work."""
    content = model_files.make(file).read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(1500):
        changed = bytearray(content)
        for place in random.integers(1, len(content), random.integers(1, 4)):
            changed[place] = random.integers(256)
        file.write_bytes(changed)
        try:
            read_metadata(file)
        except FishNetError:
            refused += 1
    assert 300 < refused < 1500


def test_a_file_of_somebody_else(file, unopened):
    model_files.make(file, fishnet_mmdet=None)
    assert 'was not made by fishnet_mmdet' in refusal(file) and 'export_onnx' in refusal(file)


def test_a_newer_layout(file, unopened):
    model_files.make(file, fishnet_mmdet='2')
    assert 'has the layout 2' in refusal(file) and 'pip install -U' in refusal(file)


@pytest.mark.parametrize(
    'properties, words',
    [
        (dict(fishnet_mmdet='one'), "invalid literal for int() with base 10: 'one'"),
        (dict(task='painting'), "task 'painting'"),
        (dict(task=None), "KeyError: 'task'"),
        (dict(classes=None), "KeyError: 'classes'"),
        (dict(classes='cat'), 'JSONDecodeError'),
        (dict(classes='7'), 'TypeError'),
        (dict(score_threshold='high'), 'high'),
        (dict(category_ids='[1]'), '1 category_ids of 2 classes'),
        (dict(preprocessing='{}'), "KeyError: 'where'"),
        (dict(preprocessing='[]'), 'TypeError'),
        (dict(preprocessing='[' * 100000), 'RecursionError'),
        (dict(preprocessing='{"where": "above"}'), "preprocessing 'above'"),
        (dict(preprocessing=json.dumps(dict(STEPS, resize=dict(kind='Resize')))), "KeyError: 'scale'"),
        (dict(preprocessing=json.dumps(dict(STEPS, resize=dict(kind='Crumple', scale=7)))), "KeyError: 'Crumple'"),
        (dict(preprocessing=json.dumps(dict(STEPS, crop=[1, 2, 3]))), 'too many values'),
        (dict(preprocessing=json.dumps(dict(STEPS, mean='bright'))), 'could not convert'),
    ],
)
def test_damaged_metadata(file, properties, words, unopened):
    message = refusal(model_files.make(file, **properties))
    assert 'metadata' in message and words in message


@pytest.mark.parametrize(
    'properties',
    [
        dict(preprocessing=json.dumps(STEPS)),
        dict(task='panoptic segmentation'),
    ],
)
def test_metadata_of_another_graph(file, properties):
    model_files.make(file, **properties)
    assert 'are not those of its metadata' in refusal(file)


def altered(file, change):
    model = onnx.load(model_files.make(file))
    change(model)
    onnx.save(model, file)
    return file


def outside(tensor, place):
    """Moves a tensor's weights to another file."""
    tensor.ClearField('raw_data')
    tensor.ClearField('float_data')
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key='location', value=place)


@pytest.mark.parametrize('place', ['/etc/passwd', '../weights.bin', 'weights.bin'])
def test_weights_in_other_files(file, place, unopened):
    (file.parent / 'weights.bin').write_bytes(bytes(4096))
    assert 'weights in other files' in refusal(altered(file, lambda model: outside(model.graph.initializer[0], place)))


def test_weights_of_a_branch_in_other_files(file, unopened):
    def hide(model):
        tensor = onnx.numpy_helper.from_array(np.zeros(2, np.float32), 'hidden')
        outside(tensor, '/etc/passwd')
        branch = onnx.helper.make_graph([], 'branch', [], [], [tensor])
        model.graph.node.append(onnx.helper.make_node('If', ['x'], ['y'], then_branch=branch, else_branch=branch))

    assert 'weights in other files' in refusal(altered(file, hide))


def test_a_constant_in_another_file(file, unopened):
    def hide(model):
        tensor = onnx.numpy_helper.from_array(np.zeros(2, np.float32), 'hidden')
        outside(tensor, '/etc/passwd')
        model.graph.node.append(onnx.helper.make_node('Constant', [], ['hidden'], value=tensor))

    assert 'weights in other files' in refusal(altered(file, hide))


def test_operators_of_a_library(file, unopened):
    def use(model):
        model.graph.node[0].domain = 'com.stranger'

    message = refusal(altered(file, use))
    assert "operator 'Shape' of 'com.stranger'" in message and 'standard operators' in message


def test_graphs_in_graphs_without_end(file, unopened):
    def nest(model):
        graph = onnx.helper.make_graph([], 'inner', [], [])
        for _ in range(30):
            node = onnx.helper.make_node('If', ['x'], ['y'], then_branch=graph)
            graph = onnx.helper.make_graph([node], 'outer', [], [])
        model.graph.node.extend(graph.node)

    assert 'damaged' in refusal(altered(file, nest))


def test_a_graph_that_the_runtime_cannot_open(file):
    def change(model):
        model.graph.node[0].op_type = 'Shapeless'

    assert 'onnxruntime' in refusal(altered(file, change)) and 'Shapeless' in refusal(altered(file, change))


@pytest.mark.parametrize('name', ['onnxruntime', 'openvino'])
def test_without_a_runtime(file, name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(FishNetError, match=f'{name}, which is not installed: pip install {name}'):
        Detector(model_files.make(file), runtime=name)
