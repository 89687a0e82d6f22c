"""Pickles and files of torch.save, written by hand: what no honest program writes."""

import io
import pickle
import struct
import zipfile
from dataclasses import dataclass
from typing import Any


@dataclass
class Global:
    """A name in the pickle: 'module name'."""

    name: str


@dataclass
class Call:
    """A call of a global, and the state that is set on its result."""

    function: Any
    arguments: Any = ()
    state: Any = None
    opcode: bytes = b'R'


@dataclass
class Persistent:
    """An id that torch.load turns into a storage."""

    pid: Any


@dataclass
class Raw:
    """Opcodes as they are."""

    code: bytes


def dumps(value: Any) -> bytes:
    """A pickle of protocol 2."""
    return b'\x80\x02' + encode(value) + b'.'


def encode(value: Any) -> bytes:
    """The opcodes that push a value."""
    kind = type(value)
    if kind is Raw:
        return value.code
    if kind is Global:
        module, _, name = value.name.partition(' ')
        return b'c' + module.encode() + b'\n' + name.encode() + b'\n'
    if kind is Call:
        code = encode(value.function) + encode(value.arguments) + value.opcode
        return code if value.state is None else code + encode(value.state) + b'b'
    if kind is Persistent:
        return encode(value.pid) + b'Q'
    if kind is str:
        data = value.encode('utf-8', 'surrogatepass')
        return b'X' + struct.pack('<I', len(data)) + data
    if kind is bytes:
        return encode(Call(Global('_codecs encode'), (value.decode('latin1'), 'latin1')))
    if kind is int:
        data = pickle.encode_long(value)
        head = b'\x8a' + bytes([len(data)]) if len(data) < 256 else b'\x8b' + struct.pack('<i', len(data))
        return b'J' + struct.pack('<i', value) if -(2**31) <= value < 2**31 else head + data
    if kind is float:
        return b'G' + struct.pack('>d', value)
    if kind in (bool, type(None)):
        return {None: b'N', True: b'\x88', False: b'\x89'}[value]
    if kind is tuple:
        return b'(' + b''.join(map(encode, value)) + b't'
    if kind is list:
        return b'](' + b''.join(map(encode, value)) + b'e'
    if kind is dict:
        return b'}(' + b''.join(encode(key) + encode(item) for key, item in value.items()) + b'u'
    raise TypeError(kind)


def storage(key: str, count: int, kind: str = 'torch FloatStorage', legacy: bool = False) -> Persistent:
    """The id of a storage."""
    return Persistent(('storage', Global(kind), key, 'cpu', count, *((None,) if legacy else ())))


def tensor(of: Any, size: tuple, stride: tuple, offset: int = 0) -> Call:
    """A tensor over a storage."""
    hooks = Call(Global('collections OrderedDict'))
    return Call(Global('torch._utils _rebuild_tensor_v2'), (of, offset, size, stride, False, hooks))


def zip_file(content: bytes, storages: dict, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A file of torch.save in its present format."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', compression) as archive:
        archive.writestr('archive/data.pkl', content)
        archive.writestr('archive/byteorder', b'little')
        for key, data in storages.items():
            archive.writestr(f'archive/data/{key}', data)
        archive.writestr('archive/version', b'3\n')
    return file.getvalue()


def legacy_file(content: bytes, storages: dict, itemsize: int = 4) -> bytes:
    """A file of torch.save from before PyTorch 1.6."""
    system = dict(protocol_version=1001, little_endian=True, type_sizes=dict(short=2, int=4, long=4))
    head = b''.join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, system))
    numbers = b''.join(struct.pack('<q', len(data) // itemsize) + data for data in storages.values())
    return head + content + pickle.dumps(list(storages), 2) + numbers
