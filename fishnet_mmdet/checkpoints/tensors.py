"""The tensors of a pickle: made from checked numbers over storages that the file really has."""

import math
from typing import Callable, Dict, NamedTuple, Optional, Tuple, Union

import torch
from torch import Tensor

from .pickles import Function, Refused
from .text import shown

#: Numbers in all tensors together, where they are more than the file has bytes: a tensor can repeat the numbers of a storage.
MOST_REPEATED = 1 << 27
LARGEST_NUMBER = 1 << 62
MOST_DIMENSIONS = 32


class StorageKind(NamedTuple):
    """A type of storage as the files name it."""

    name: str
    dtype: Optional[torch.dtype]
    """None: of no plain numbers."""
    size: int
    """Of an element, in bytes."""


class Storage(NamedTuple):
    """Numbers that tensors share."""

    kind: StorageKind
    untyped: torch.UntypedStorage


class Unusable(NamedTuple):
    """Stands for a tensor that holds no plain numbers."""

    kind: str


def _kinds(**dtypes: torch.dtype) -> Dict[str, StorageKind]:
    return {f'torch.{name}': StorageKind(name, dtype, element_size(dtype)) for name, dtype in dtypes.items()}


def element_size(dtype: torch.dtype) -> int:
    """Bytes that a number takes. (``dtype.itemsize`` needs torch 2.1.)"""
    return torch.empty(0, dtype=dtype).element_size()


STORAGE_KINDS = {
    **_kinds(
        DoubleStorage=torch.float64,
        FloatStorage=torch.float32,
        HalfStorage=torch.float16,
        BFloat16Storage=torch.bfloat16,
        LongStorage=torch.int64,
        IntStorage=torch.int32,
        ShortStorage=torch.int16,
        CharStorage=torch.int8,
        ByteStorage=torch.uint8,
        BoolStorage=torch.bool,
        ComplexDoubleStorage=torch.complex128,
        ComplexFloatStorage=torch.complex64,
    ),
    'torch.storage.UntypedStorage': StorageKind('UntypedStorage', torch.uint8, 1),
    **{f'torch.{name}': StorageKind(name, None, 1) for name in ('QInt8Storage', 'QUInt8Storage')},
    'torch.QInt32Storage': StorageKind('QInt32Storage', None, 4),
}


def new_storage(size: int) -> torch.UntypedStorage:
    """A storage of some bytes.

    Raises:
        MemoryError: If there is no memory for it.
    """
    try:
        return torch.UntypedStorage(size)
    except RuntimeError as error:
        raise MemoryError(f'no memory for {size:,} bytes') from error


def memory_of(storage: torch.UntypedStorage) -> memoryview:
    """The bytes of a storage."""
    return memoryview(torch.empty(0, dtype=torch.uint8).set_(storage, 0, (len(storage),), (1,)).numpy())


class TensorMaker:
    """The functions that pickles call to make tensors.

    Args:
        size (int): Of the file, in bytes.
    """

    def __init__(self, size: int) -> None:
        self.numbers_left = max(size, MOST_REPEATED)
        makers = {
            'torch._utils._rebuild_tensor': self.tensor,
            'torch._utils._rebuild_tensor_v2': self.tensor,
            'torch._utils._rebuild_tensor_v3': self.tensor_of_dtype,
            'torch._utils._rebuild_parameter': self.parameter,
            'torch._utils._rebuild_parameter_with_state': self.parameter,
            'torch._tensor._rebuild_from_type_v2': self.tensor_of_type,
            'torch.serialization._get_layout': unusable('a layout'),
            'torch._utils._rebuild_sparse_tensor': unusable('a sparse tensor'),
            'torch._utils._rebuild_sparse_csr_tensor': unusable('a sparse tensor'),
            'torch._utils._rebuild_qtensor': unusable('a quantised tensor'),
            'torch._utils._rebuild_nested_tensor': unusable('a nested tensor'),
            'torch._utils._rebuild_meta_tensor_no_storage': unusable('a meta tensor, without numbers'),
            'torch._utils._rebuild_wrapper_subclass': unusable('a tensor of another type'),
        }
        #: The functions by their names in the files.
        self.functions = {name: Function(name, call) for name, call in makers.items()}

    def tensor(
        self,
        storage: Storage,
        offset: int,
        size: Tuple[int, ...],
        stride: Tuple[int, ...],
        requires_grad: bool = False,
        hooks: object = None,
        metadata: object = None,
    ) -> Union[Tensor, Unusable]:
        """A tensor of the type of its storage. ``requires_grad`` and hooks are not restored: nothing here trains it."""
        return self.tensor_of_dtype(storage, offset, size, stride, requires_grad, hooks, storage.kind.dtype, metadata)

    def tensor_of_dtype(
        self,
        storage: Storage,
        offset: int,
        size: Tuple[int, ...],
        stride: Tuple[int, ...],
        requires_grad: bool,
        hooks: object,
        dtype: Optional[torch.dtype],
        metadata: object = None,
    ) -> Union[Tensor, Unusable]:
        """A tensor of another type than its storage.

        Raises:
            Refused: If it repeats numbers to a size that only wastes memory.
            ValueError: If it does not lie in its storage.
        """
        numbers = [offset, *size, *stride]
        if type(storage) is not Storage or not all(type(n) is int and 0 <= n < LARGEST_NUMBER for n in numbers):
            raise ValueError('a tensor without a storage, or with numbers that are none')
        if metadata:
            return Unusable('a view with conjugate or negative numbers')
        if type(dtype) is not torch.dtype or storage.kind.dtype is None:
            return Unusable('a tensor of no plain numbers')
        count = math.prod(size)
        end = (offset + sum((n - 1) * step for n, step in zip(size, stride)) + 1) if count else 0
        if not len(size) == len(stride) <= MOST_DIMENSIONS or end * element_size(dtype) > len(storage.untyped):
            raise ValueError('a tensor that does not lie in its storage')
        self.numbers_left -= count
        if self.numbers_left < 0:
            raise Refused(
                f'has tensors with far more numbers than the file has bytes, one of shape {shown(str(size))}: it was made to '
                'fill the memory, or needs tensor.clone() for each tensor before it is saved'
            )
        return torch.empty(0, dtype=dtype).set_(storage.untyped, offset, size, stride)

    def parameter(self, data: Tensor, *_) -> Tensor:
        """The tensor of a parameter."""
        return data

    def tensor_of_type(self, function: Function, kind: object, arguments: tuple, state: object) -> Union[Tensor, Unusable]:
        """A plain tensor in the place of one of a subclass, or with attributes."""
        if type(function) is not Function or function not in self.functions.values() or type(arguments) is not tuple:
            raise ValueError('a tensor by another function')
        return function.call(*arguments)


def unusable(kind: str) -> Callable[..., Unusable]:
    """A function that makes nothing of its arguments."""
    return lambda *_: Unusable(kind)
