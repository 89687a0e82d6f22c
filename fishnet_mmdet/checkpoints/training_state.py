"""What ``torch.load`` may read beside tensors: the training state that mmengine's Runner saves, as data.

A pickle names functions and types, and calls them with arguments of its own. numpy's would take arguments that read
foreign memory or crash the process: ``ndarray`` takes any buffer, and a ``dtype`` any fields. So each name that the
training state needs leads to a stand-in of ours, which accepts what numpy itself writes and nothing else.
"""

import math
import os
import pickle
from typing import Callable

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.utils import digit_version


def reads_pickles_as_data(version: str) -> bool:
    """Whether ``torch.load(weights_only=True)`` of a torch version runs no code: before 2.6 it could (CVE-2025-32434)."""
    return digit_version(version) >= digit_version('2.6.0')


PICKLES_ARE_DATA = reads_pickles_as_data(torch.__version__)
HISTORY_METHODS = ('min', 'max', 'current', 'mean')
NUMBER_TYPES = ('b1', 'i4', 'i8', 'f4', 'f8')


def allow_training_state() -> None:
    """Lets ``torch.load`` read what mmengine's Runner saves beside the weights, as ``--resume`` and testing need.

    From torch 2.6 on, ``torch.load`` reads only tensors and plain containers unless told otherwise. A checkpoint of
    mmengine also holds the history of the logged values: HistoryBuffer, whose members are numpy arrays of numbers, and
    the names of its methods. Reading these runs nothing; everything else stays refused.

    Before 2.6 nothing is allowed: pickled files are not read there, see :func:`read_checkpoint`.
    """
    if not PICKLES_ARE_DATA:
        return
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (_method_of_history, 'builtins.getattr'),
            (_ndarray, 'numpy.ndarray'),
            (_DType, 'numpy.dtype'),
            # As numpy 1 names them, and numpy 2.
            *((_reconstruct, f'numpy.{core}.multiarray._reconstruct') for core in ('core', '_core')),
            *((_scalar, f'numpy.{core}.multiarray.scalar') for core in ('core', '_core')),
            # torch sets the state of objects of allowed types only. A file cannot name this one: its name has no module.
            (_Array, 'array'),
        ]
    )


def trust_pickled_files() -> None:
    """Lets mmengine read its checkpoints on PyTorch before 2.6, where that can run code from the files.

    For ``--trusted`` in the commands, which otherwise tell torch to read weights only. On PyTorch 2.6 and newer it changes
    nothing.
    """
    if not PICKLES_ARE_DATA:
        os.environ.pop('TORCH_FORCE_WEIGHTS_ONLY_LOAD', None)


def _method_of_history(owner: type, name: str) -> Callable:
    """Stands in for ``getattr``, by which pickle names the methods that HistoryBuffer keeps: gives those and no others."""
    if owner is not HistoryBuffer or name not in HISTORY_METHODS:
        raise pickle.UnpicklingError(f'Unsupported global: GLOBAL getattr was given {owner} and {name}')
    return getattr(owner, name)


def _ndarray(*_) -> None:
    """Stands in for ``numpy.ndarray``, which a pickle only hands to ``_reconstruct`` and must not call."""
    raise pickle.UnpicklingError('GLOBAL numpy.ndarray was called by the file')


class _DType:
    """Stands in for ``numpy.dtype``: one of the plain numbers, in a byte order."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        if code not in NUMBER_TYPES:
            raise pickle.UnpicklingError(f'GLOBAL numpy.dtype was given {code!r:.40}')
        self.value = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        # Version, byte order, then subarray, fields, size, alignment and flags, which plain numbers do not set.
        if state not in [(3, order, None, None, None, -1, -1, 0) for order in '<>|=']:
            raise pickle.UnpicklingError('GLOBAL numpy.dtype was given a state that no number type has')
        self.value = self.value.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array whose state is checked when it is read, and that is saved as any other."""

    def __setstate__(self, state: tuple) -> None:
        version, shape, dtype, fortran_order, data = state
        sizes = all(type(size) is int and size >= 0 for size in shape)
        if type(dtype) is not _DType or not sizes or math.prod(shape) * dtype.value.itemsize != len(data):
            raise pickle.UnpicklingError('GLOBAL numpy.ndarray was given a state that does not fit')
        super().__setstate__((1, tuple(shape), dtype.value, bool(fortran_order), data))

    def __reduce__(self) -> tuple:
        return self.view(np.ndarray).__reduce__()


def _reconstruct(kind: Callable, shape: tuple, code: bytes) -> np.ndarray:
    """Stands in for ``_reconstruct``, which makes the empty array whose state is set next."""
    if kind is not _ndarray or shape != (0,) or code != b'b':
        raise pickle.UnpicklingError('GLOBAL numpy._reconstruct was given other arguments than numpy writes')
    return _Array((0,), 'b1')


def _scalar(dtype: _DType, data: bytes) -> np.generic:
    """Stands in for ``scalar``, which makes a number from its bytes."""
    if type(dtype) is not _DType or type(data) is not bytes or len(data) != dtype.value.itemsize:
        raise pickle.UnpicklingError('GLOBAL numpy.scalar was given other arguments than numpy writes')
    return np.frombuffer(data, dtype.value)[0]
