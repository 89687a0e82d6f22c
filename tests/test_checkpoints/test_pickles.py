"""Pickles as data: what torch.save writes is read as torch reads it, and no call of a file does anything else."""

import io
import sys
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from conftest import REPO
from mmengine.utils import digit_version

from fishnet_mmdet.checkpoints import read_checkpoint
from fishnet_mmdet.checkpoints.pickles import Budget, Interpreter, Refused
from fishnet_mmdet.errors import FishNetError

sys.path.insert(0, str(REPO / 'tests/hostile'))
from pickling import Call, Global, Raw, dumps, storage, tensor, zip_file  # noqa: E402

CONTENT = dict(
    numbers=[0, -1, 255, 65536, -(2**31), 2**100, 0.5, float('inf'), True, None, 1 + 2j],
    texts=['', 'ä', '\udcff', b'', b'\x00\xff', bytearray(b'ab')],
    containers=((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {1, 2}, Counter({30: 1}), OrderedDict(a=1)),
    torch=(torch.Size([1, 2]), torch.float32),
    state=dict(state={0: dict(step=5)}, param_groups=[dict(params=[0, 1], lr=0.1)]),
)
TENSORS = dict(
    double=torch.rand(2, 3, dtype=torch.float64),
    half=torch.rand(3).half(),
    bfloat16=torch.rand(3).bfloat16(),
    int64=torch.arange(5),
    uint8=torch.arange(5, dtype=torch.uint8),
    bool=torch.tensor([True, False]),
    complex=torch.rand(2, dtype=torch.complex64),
    scalar=torch.tensor(5.0),
    empty=torch.empty(0, 3),
    transposed=torch.rand(2, 3).t(),
    channels_last=torch.rand(1, 3, 2, 2).to(memory_format=torch.channels_last),
    expanded=torch.rand(3, 1).expand(3, 4),
    parameter=torch.nn.Parameter(torch.rand(3)),
)


@pytest.mark.parametrize('legacy', [True, False])
def test_what_torch_writes_is_read_as_torch_reads_it(legacy, tmp_path):
    rows = torch.rand(4, 3)
    content = dict(CONTENT, state_dict=dict(TENSORS, rows=rows, row=rows[1]))
    torch.save(content, tmp_path / 'x.pth', _use_new_zipfile_serialization=not legacy)
    read = read_checkpoint(tmp_path / 'x.pth')
    assert {key: read[key] for key in CONTENT} == CONTENT
    assert [type(value) for value in read['numbers']] == [type(value) for value in CONTENT['numbers']]
    for name, saved in content['state_dict'].items():
        found = read['state_dict'][name]
        assert found.dtype == saved.dtype and found.stride() == saved.stride() and torch.equal(found, saved.detach()), name
    # Tensors of one storage still share it.
    read['state_dict']['rows'][1] = 7
    assert torch.equal(read['state_dict']['row'], torch.full((3,), 7.0))


def refused(tmp_path, value, **storages):
    weight = tensor(storage('0', 4), (2, 2), (2, 1))
    content = {'state_dict': {'a': weight}, 'hostile': value}
    (tmp_path / 'x.pth').write_bytes(zip_file(dumps(content), {'0': bytes(16), **storages}))
    with pytest.raises(FishNetError) as error:
        read_checkpoint(tmp_path / 'x.pth')
    assert str(error.value).startswith(str(tmp_path / 'x.pth')) and str(error.value).isprintable()
    return str(error.value)


HUGE = 10**12
HISTORY = dict(_log_history=[], _count_history=[], max_length=1)
#: Each list has the one before nine times.
LEVELS = b'q\x01](' + b'h\x01' * 9 + b'e'
CALLS = {
    'a tensor of any size': Call(Global('torch Tensor'), (HUGE,)),
    'a storage of any size': Call(Global('torch.storage UntypedStorage'), (HUGE,)),
    'bytes of any size': Call(Global('__builtin__ bytearray'), (HUGE,)),
    'a slow codec': Call(Global('_codecs encode'), ('a' * 9, 'idna')),
    'an array with a buffer': Call(Global('numpy ndarray'), ((1,), 'O', b'AAAAAAAA')),
    'an array before its buffer': Call(Global('numpy ndarray'), ((1,), 'f8', b'AAAAAAAA', -8)),
    'an array in a Size': Call(Global('torch Size'), (Call(Global('numpy ndarray'), ((1,), 'O', b'AAAAAAAA')),)),
    'a tuple in a tuple as a key': {((1,),): 1},
    'numbers of one hash': {2**61 - 1: 1},
    'a history of lists': Call(Global('mmengine.logging.history_buffer HistoryBuffer'), (), HISTORY),
    'a method of a type': Call(Global('__builtin__ getattr'), (Global('torch Size'), '__reduce__')),
    'a call of a result': Call(Call(Global('collections OrderedDict')), ()),
    'attributes of a dict': Call(Global('collections OrderedDict'), (), {'_metadata': {'a': {'version': 'b'}}}),
    'a name alone': Global('torch._utils _rebuild_tensor_v2'),
    'containers without end': Raw(b')' + b'\x85' * 1000),
    'values without end': Raw(b']' + LEVELS * 10),
    'an opcode of later protocols': Raw(b'\x8f'),
    'a tensor outside of its storage': tensor(storage('0', 4), (2, 2), (2, 1), 1),
    'a tensor before its storage': tensor(storage('0', 4), (1,), (1,), -1),
    'a tensor without end': tensor(storage('0', 4), (HUGE, 2), (0, 0)),
    'a storage that is not there': tensor(storage('1', 4), (4,), (1,)),
    'a storage of another size': tensor(storage('0', 5), (4,), (1,)),
}


@pytest.mark.parametrize('name', CALLS)
def test_calls_of_any_kind_are_refused(name, tmp_path):
    refused(tmp_path, CALLS[name])


def test_one_text_encoded_often_takes_no_memory(tmp_path):
    text, encode = Raw(b'Xr\x00\x00\x00' + b'a' * 114 + b'q\x01'), b'c_codecs\nencode\nh\x01X\x06\x00\x00\x00latin1\x86R'
    content = {'state_dict': {'a': tensor(storage('0', 1), (), ())}, 'text': text, 'many': Raw(b'](' + encode * 50 + b'e')}
    (tmp_path / 'x.pth').write_bytes(zip_file(dumps(content), {'0': bytes(4)}))
    many = read_checkpoint(tmp_path / 'x.pth')['many']
    assert many == [b'a' * 114] * 50 and len({id(one) for one in many}) == 1


def test_a_budget_ends():
    budget = Budget(10)
    budget.take(1 << 20)
    with pytest.raises(Refused, match='memory'):
        budget.take(161)


def test_an_interpreter_names_only_what_its_table_has():
    interpreter = Interpreter({'a.b': 5}, None, None)
    assert interpreter.load(io.BytesIO(dumps([Global('a b'), Global('a b')]))) == [5, 5]
    with pytest.raises(Refused, match=r'os\.system'):
        interpreter.load(io.BytesIO(dumps(Global('os system'))))


@pytest.mark.parametrize(
    'kind, make',
    {
        'sparse': lambda: torch.eye(3).to_sparse(),
        'sparse ': lambda: torch.eye(3).to_sparse_csr(),
        'quantised': lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        'meta': lambda: torch.ones(3, device='meta'),
        'nested': lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        'conjugate': lambda: torch.ones(2, dtype=torch.complex64).conj(),
    }.items(),
)
@pytest.mark.parametrize('legacy', [True, False])
def test_tensors_of_no_plain_numbers_are_named(kind, make, legacy, tmp_path):
    from fishnet_mmdet.checkpoints.reading import weights_in

    if kind == 'nested' and digit_version(torch.__version__) < digit_version('2.1.0'):
        pytest.skip('this PyTorch cannot save nested tensors')
    torch.save(dict(state_dict={'a.weight': make()}), tmp_path / 'x.pth', _use_new_zipfile_serialization=not legacy)
    with pytest.raises(FishNetError, match=rf'x\.pth: a\.weight is .*{kind}'):
        weights_in(read_checkpoint(tmp_path / 'x.pth'), 'x.pth')


def test_float8_is_read(tmp_path):
    if not hasattr(torch, 'float8_e4m3fn'):
        pytest.skip('this PyTorch has no float8')
    weight = torch.ones(3).to(torch.float8_e4m3fn)
    torch.save(dict(a=weight), tmp_path / 'x.pth')
    read = read_checkpoint(tmp_path / 'x.pth')['a']
    assert read.dtype == weight.dtype and torch.equal(read.float(), weight.float())


def test_arrays_of_both_byte_orders(tmp_path):
    arrays = dict(state=np.random.RandomState(0).get_state()[1], big=np.arange(3, dtype='>i4'), two=np.ones((2, 2), order='F'))
    torch.save(dict(arrays=arrays), tmp_path / 'x.pth')
    for name, array in read_checkpoint(tmp_path / 'x.pth')['arrays'].items():
        assert np.array_equal(array, arrays[name]), name
