"""numpy's part of a training state: what numpy writes is read, and nothing else reaches numpy."""

import pickle

import numpy as np
import pytest
import torch
from conftest import needs_2_6
from mmengine.logging import HistoryBuffer

from fishnet_mmdet.checkpoints import allow_training_state, read_checkpoint
from fishnet_mmdet.errors import FishNetError

RECONSTRUCT = np.zeros(1).__reduce__()[0]
SCALAR = np.float64(1).__reduce__()[0]
BYTES = b'AAAAAAAA'


class Called:
    """Pickles a call of a function, and the state that is set on its result."""

    def __init__(self, function, *args, state=None):
        self.parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.parts


def dtype(code='f8', copy=True, state=(3, '<', None, None, None, -1, -1, 0)):
    return Called(np.dtype, code, False, copy, state=state)


def array(shape=(1,), kind=np.ndarray, size=(0,), code=b'b', data=BYTES, of=None):
    return Called(RECONSTRUCT, kind, size, code, state=(1, shape, of or dtype(), False, data))


HOSTILE = {
    'ndarray with a buffer of objects': lambda: Called(np.ndarray, (1,), 'O', BYTES),
    'ndarray before its buffer': lambda: Called(np.ndarray, (1,), 'f8', BYTES, -8),
    'another type than ndarray': lambda: array(kind=np.matrix),
    'an array that is not empty at first': lambda: array(size=(1 << 40,)),
    'an array of objects at first': lambda: array(code=b'O'),
    'more numbers than bytes': lambda: array(shape=(2,)),
    'a negative shape': lambda: array(shape=(-1, -1)),
    'a shape that is no number': lambda: array(shape=(1.0,)),
    'numbers from a list': lambda: array(data=[1]),
    'dtype of objects': lambda: array(of=dtype('O')),
    'dtype of records': lambda: array(of=dtype([('a', 'O')])),
    'dtype with a subarray of objects': lambda: array(of=dtype(state=(3, '<', (np.dtype('O'), (1,)), None, None, -1, -1, 0))),
    'dtype with fields behind its end': lambda: array(
        of=dtype(state=(3, '<', None, ('a',), {'a': (np.dtype('O'), 1000)}, -1, -1, 0))
    ),
    'dtype with flags': lambda: array(of=dtype(state=(3, '|', None, None, None, -1, -1, 63))),
    'a scalar of objects': lambda: Called(SCALAR, dtype('O'), BYTES),
    'a scalar of too few bytes': lambda: Called(SCALAR, dtype(), b'A'),
    'a scalar of no bytes': lambda: Called(SCALAR, dtype(), 1.0),
    'the shared dtype changed': lambda: dtype(copy=False, state=(3, '<', None, ('a',), {}, -1, -1, 0)),
}


@needs_2_6
@pytest.mark.parametrize('legacy', [True, False])
@pytest.mark.parametrize('name', HOSTILE)
def test_what_numpy_does_not_write_is_refused(name, legacy, tmp_path):
    allow_training_state()
    file = tmp_path / 'x.pth'
    torch.save(dict(state_dict={'a': torch.ones(1)}, hostile=HOSTILE[name]()), file, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(FishNetError, match=r'x\.pth is not a checkpoint'):
        read_checkpoint(file)
    with pytest.raises(Exception):  # noqa: B017  torch's or ours
        torch.load(file, weights_only=True)
    assert np.dtype('f8').names is None


@needs_2_6
@pytest.mark.parametrize('data', [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.ones((2, 3))), np.ones(2, '>f4')])
def test_arrays_as_numpy_writes_them(data, tmp_path):
    allow_training_state()
    torch.save(dict(a=data), tmp_path / 'x.pth')
    read = read_checkpoint(tmp_path / 'x.pth')['a']
    # numpy gives its own byte order to what it reads.
    assert isinstance(read, np.ndarray) and read.dtype == data.dtype.newbyteorder('=') and np.array_equal(read, data)
    assert type(pickle.loads(pickle.dumps(read))) is np.ndarray


@needs_2_6
def test_a_history_that_was_read_is_saved_as_any_other(tmp_path):
    allow_training_state()
    history = HistoryBuffer([0.5, 0.25], [1, 3])
    torch.save(dict(a=history), tmp_path / 'x.pth')
    for read in (read_checkpoint(tmp_path / 'x.pth')['a'], torch.load(tmp_path / 'x.pth', weights_only=True)['a']):
        assert type(read) is HistoryBuffer and read.mean() == history.mean() and read.statistics('min') == 0.25
        read.update(0.125)
        assert b'fishnet' not in pickle.dumps(read) and pickle.loads(pickle.dumps(read)).current() == 0.125


@needs_2_6
def test_no_file_can_name_the_type_whose_state_is_set(tmp_path):
    """A name in a pickle is a module and a name, with a dot between them."""
    allow_training_state()
    names = {entry[1] for entry in torch.serialization.get_safe_globals() if isinstance(entry, tuple)}
    assert 'array' in names
    for module in ('', 'array', 'builtins'):
        content = pickle.dumps(dict(a=1), protocol=2)[:-1] + f'c{module}\narray\n'.encode() + b'0.'
        (tmp_path / 'x.pth').write_bytes(content)
        with pytest.raises(FishNetError):
            read_checkpoint(tmp_path / 'x.pth')


def test_nothing_is_allowed_before_torch_2_6(monkeypatch):
    monkeypatch.setattr(torch, '__version__', '2.5.1+cpu')
    monkeypatch.delattr(torch.serialization, 'add_safe_globals', raising=False)
    allow_training_state()
