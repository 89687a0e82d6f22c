"""The training state that mmengine's Runner saves beside the weights, read as data.

A pickle names functions and types, and calls them with arguments of its own. numpy's would take arguments that read
foreign memory or crash the process: ``ndarray`` takes any buffer, and a ``dtype`` any fields. So each name that the
training state needs leads to a stand-in of ours, which accepts what numpy and mmengine themselves write and nothing else.
The stand-ins serve :func:`read_checkpoint`, and ``torch.load`` too.
"""

import math
import pickle

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.utils import digit_version

HISTORY_METHODS = ('min', 'max', 'current', 'mean')
NUMBER_TYPES = ('b1', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f2', 'f4', 'f8')


def allow_training_state() -> None:
    """Lets ``torch.load`` read what mmengine's Runner saves beside the weights, as ``--resume`` and testing need.

    From torch 2.6 on, ``torch.load`` reads only tensors and plain containers unless told otherwise. A checkpoint of
    mmengine also holds the history of the logged values: HistoryBuffer, whose members are numpy arrays of numbers, and
    the names of its methods. Reading these runs nothing; everything else stays refused.

    Before 2.6, where ``torch.load`` reads whole pickles and cannot be told of single names, this does nothing.
    """
    if digit_version(torch.__version__) < digit_version('2.6.0'):
        return
    torch.serialization.add_safe_globals(
        [
            *((stand_in, name) for name, stand_in in STAND_INS.items() if not name.startswith('__builtin__.')),
            # torch sets the state of objects of allowed types only. A file cannot name this one: its name has no module.
            (Array, 'array'),
        ]
    )


class History(HistoryBuffer):
    """Stands in for HistoryBuffer until its state is set; then it is one."""

    def __new__(cls) -> 'History':
        """Makes an empty one, without arguments."""
        history = super().__new__(cls)
        HistoryBuffer.__init__(history)
        return history

    def __init__(self) -> None:
        """Does nothing: a file must not call it again."""

    def __setstate__(self, state: dict) -> None:
        """Sets the history; its methods are those of the class, and not set."""
        log, count, length = state['_log_history'], state['_count_history'], state['max_length']
        if not (type(log) is type(count) is Array and log.ndim == 1 and log.shape == count.shape):
            raise pickle.UnpicklingError('GLOBAL HistoryBuffer was given a history that is no row of numbers')
        if type(length) is not int or length < 1:
            raise pickle.UnpicklingError('GLOBAL HistoryBuffer was given a length that is no number')
        self.max_length, self._log_history, self._count_history = length, log.view(np.ndarray), count.view(np.ndarray)
        self.__class__ = HistoryBuffer


def method_of_history(owner: object, name: str) -> None:
    """Stands in for ``getattr``, by which pickle names the methods that HistoryBuffer keeps: the class has them."""
    if name not in HISTORY_METHODS:
        raise pickle.UnpicklingError(f'Unsupported global: GLOBAL getattr was given {owner!r:.40} and {name!r:.40}')


def ndarray(*_) -> None:
    """Stands in for ``numpy.ndarray``, which a pickle only hands to ``_reconstruct`` and must not call."""
    raise pickle.UnpicklingError('GLOBAL numpy.ndarray was called by the file')


class DType:
    """Stands in for ``numpy.dtype``: one of the plain numbers, in a byte order."""

    __slots__ = ('value',)

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        if type(code) is not str or code not in NUMBER_TYPES:
            raise pickle.UnpicklingError(f'GLOBAL numpy.dtype was given {code!r:.40}')
        self.value = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        # Version, byte order, then subarray, fields, size, alignment and flags, which plain numbers do not set.
        if state not in [(3, order, None, None, None, -1, -1, 0) for order in '<>|=']:
            raise pickle.UnpicklingError('GLOBAL numpy.dtype was given a state that no number type has')
        self.value = self.value.newbyteorder(state[1])


class Array(np.ndarray):
    """An array whose state is checked when it is read, and that is saved as any other."""

    def __setstate__(self, state: tuple) -> None:
        version, shape, dtype, fortran_order, data = state
        sizes = type(shape) is tuple and all(type(size) is int and size >= 0 for size in shape)
        if type(dtype) is not DType or type(data) is not bytes or not sizes:
            raise pickle.UnpicklingError('GLOBAL numpy.ndarray was given a state of other types')
        if math.prod(shape) * dtype.value.itemsize != len(data):
            raise pickle.UnpicklingError('GLOBAL numpy.ndarray was given a state that does not fit')
        super().__setstate__((1, shape, dtype.value, bool(fortran_order), data))

    def __reduce__(self) -> tuple:
        return self.view(np.ndarray).__reduce__()


def reconstruct(kind: object, shape: tuple, code: bytes) -> np.ndarray:
    """Stands in for ``_reconstruct``, which makes the empty array whose state is set next."""
    if getattr(kind, 'call', kind) is not ndarray or shape != (0,) or code != b'b':
        raise pickle.UnpicklingError('GLOBAL numpy._reconstruct was given other arguments than numpy writes')
    return Array((0,), 'b1')


def scalar(dtype: DType, data: bytes) -> np.generic:
    """Stands in for ``scalar``, which makes a number from its bytes."""
    if type(dtype) is not DType or type(data) is not bytes or len(data) != dtype.value.itemsize:
        raise pickle.UnpicklingError('GLOBAL numpy.scalar was given other arguments than numpy writes')
    return np.frombuffer(data, dtype.value)[0]


#: By the names in the files: of Python 2 and 3, and of numpy 1 and 2.
STAND_INS = {
    'mmengine.logging.history_buffer.HistoryBuffer': History,
    **{f'{module}.getattr': method_of_history for module in ('builtins', '__builtin__')},
    'numpy.ndarray': ndarray,
    'numpy.dtype': DType,
    **{f'numpy.{core}.multiarray._reconstruct': reconstruct for core in ('core', '_core')},
    **{f'numpy.{core}.multiarray.scalar': scalar for core in ('core', '_core')},
}
