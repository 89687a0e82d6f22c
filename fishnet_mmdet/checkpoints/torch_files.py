"""Files of ``torch.save``, read as data: tensors, plain containers and mmengine's training state."""

import io
import struct
from collections import OrderedDict
from functools import partial
from pickle import UnpicklingError
from typing import Any, BinaryIO, Callable, Dict

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer

from .pickles import Budget, Function, Interpreter, Refused, check_values
from .plain_types import PlainTypes
from .tensors import STORAGE_KINDS, Storage, StorageKind, TensorMaker, Unusable, memory_of, new_storage
from .training_state import STAND_INS, Array, DType, History
from .zip_records import ZipRecords

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
#: The types that a checkpoint may consist of, beside containers.
LEAVES = (
    *(type(None), bool, int, float, complex, str, bytes, bytearray),
    *(torch.Tensor, Unusable, torch.Size, torch.dtype),
    *(np.ndarray, Array, np.bool_, np.float16, np.float32, np.float64),
    *(getattr(np, f'{sign}int{bits}') for sign in ('', 'u') for bits in (8, 16, 32, 64)),
    HistoryBuffer,
)


def read_zip(opened: BinaryIO, file: str) -> Any:
    """The content of a file of ``torch.save`` in its present format.

    Args:
        opened (BinaryIO): The file.
        file (str): What messages call it.

    Raises:
        FishNetError: If it is damaged or compressed.
        Refused: If it is not data.
        Exception: Of any type, if it is damaged.
    """
    records = ZipRecords(opened, file)
    if 'byteorder' in records.records and records.read('byteorder') != b'little':
        raise Refused('was saved on a machine with another byte order: save it again on this kind of machine')
    storages: Dict[str, torch.UntypedStorage] = {}

    def storage(pid: tuple) -> Storage:
        kind, key, size = checked(pid, length=5)
        record = records.records[f'data/{key}']
        if record.size != size * kind.size:
            raise UnpicklingError('a storage of another size than its record')
        if key not in storages:
            storages[key] = new_storage(record.size)
            if record.size:
                records.read_into(f'data/{key}', memory_of(storages[key]))
        return Storage(kind, storages[key])

    return read_pickle(io.BytesIO(records.read('data.pkl')), opened.seek(0, io.SEEK_END), storage)


def read_legacy(opened: BinaryIO) -> Any:
    """The content of a file of ``torch.save`` from before PyTorch 1.6, which has no checksums.

    Raises:
        Refused: If it is not data.
        Exception: Of any type, if it is damaged.
    """
    size = opened.seek(0, io.SEEK_END)
    opened.seek(0)
    stream = Bounded(opened, size)
    magic, protocol, system = (read_pickle(stream, size, None) for _ in range(3))
    if magic != LEGACY_MAGIC or protocol != LEGACY_PROTOCOL or system['little_endian'] is not True:
        raise UnpicklingError('another beginning than torch.save writes')
    storages: Dict[str, Storage] = {}
    left = size

    def storage(pid: tuple) -> Storage:
        nonlocal left
        if pid[5] is not None:
            raise UnpicklingError('a view of a storage, which PyTorch 0.1 wrote')
        kind, key, count = checked(pid, length=6)
        if key not in storages:
            left -= count * kind.size
            if left < 0:
                raise UnpicklingError('storages that are larger than the file')
            storages[key] = Storage(kind, new_storage(count * kind.size))
        if len(storages[key].untyped) != count * kind.size:
            raise UnpicklingError('a storage of two sizes')
        return Storage(kind, storages[key].untyped)

    content = read_pickle(stream, size, storage)
    # The numbers follow the pickles: the storages in the order of these keys, each behind its size.
    keys = read_pickle(stream, size, None)
    if sorted(keys) != sorted(storages):
        raise UnpicklingError('other storages than the tensors have')
    for key in keys:
        kind, untyped = storages[key]
        (count,) = struct.unpack('<q', opened.read(8))
        if count * kind.size != len(untyped) or (count and opened.readinto(memory_of(untyped)) != len(untyped)):
            raise UnpicklingError('a storage of another size than its numbers')
    return content


class Bounded:
    """A file whose :meth:`read` takes no more memory than the file has bytes; that of Python takes as much as is asked for."""

    def __init__(self, opened: BinaryIO, size: int) -> None:
        self.opened = opened
        self.size = size
        self.tell = opened.tell
        self.readline = opened.readline

    def read(self, size: int) -> bytes:
        """The next bytes."""
        return self.opened.read(min(size, self.size))


def checked(pid: tuple, length: int) -> tuple:
    """The kind, key and number of elements in the id of a storage."""
    _, kind, key, _, count = pid[:5]
    if len(pid) != length or type(kind) is not StorageKind or type(key) is not str or type(count) is not int or count < 0:
        raise UnpicklingError('an id that is of no storage')
    return kind, key, count


def read_pickle(stream: BinaryIO, size: int, storage: Callable[[tuple], Storage]) -> Any:
    """One pickle of a file of ``torch.save``.

    Args:
        stream (BinaryIO): It is left behind the end of the pickle.
        size (int): Of the file, in bytes.
        storage (Callable): Gives the storage of an id.
    """
    budget = Budget(size)
    content = Interpreter(names(budget, TensorMaker(size)), partial(build, budget), storage).load(stream)
    check_values(content, LEAVES)
    return content


class Names(dict):
    """What a pickle may name, and all dtypes of torch."""

    def __missing__(self, name: str) -> torch.dtype:
        dtype = getattr(torch, name[len('torch.') :], None) if name.startswith('torch.') else None
        if type(dtype) is not torch.dtype:
            raise KeyError(name)
        return dtype


def names(budget: Budget, tensors: TensorMaker) -> Dict[str, Any]:
    """What a pickle may name: functions that check their arguments, and types of storages.

    Args:
        budget (Budget): Of what the functions make.
        tensors (TensorMaker): Its functions are among them.
    """
    schemes = ('per_tensor_affine', 'per_tensor_symmetric', 'per_channel_affine', 'per_channel_affine_float_qparams')
    return Names(
        **{name: Function(name, call) for name, call in STAND_INS.items()},
        **PlainTypes(budget).functions,
        **tensors.functions,
        **STORAGE_KINDS,
        **{f'torch.{scheme}': scheme for scheme in schemes},
    )


def build(budget: Budget, value: Any, state: Any) -> None:
    """Sets the state of a value that torch.save and mmengine save with one.

    Raises:
        UnpicklingError: If it has none, or another one.
    """
    if type(value) in (DType, Array, History):
        if type(value) is Array:
            budget.take(len(state[4]))
        value.__setstate__(state)
    elif type(value) is OrderedDict:
        # The versions of a network's modules, by which load_state_dict knows old checkpoints.
        versions = {name: module['version'] for name, module in state.get('_metadata', {}).items() if 'version' in module}
        if any(type(name) is not str or type(version) is not int for name, version in versions.items()):
            raise UnpicklingError('versions of modules that are none')
        value._metadata = OrderedDict((name, dict(version=version)) for name, version in versions.items())
    else:
        raise UnpicklingError(f'a state of a {type(value).__name__}')
