"""What an ONNX file declares, read before a runtime opens it.

ONNX files are Protocol Buffers: messages of numbered fields. The scan follows the fields of ``MESSAGES`` and passes over all
others, the weights among them, so it takes milliseconds and needs no package. It looks for what a model file of ours never has
and what would lead the runtime out of the file: weights in other files, and operators that are not ONNX's own.
"""

import mmap
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

from ..errors import FishNetError

#: Of each type of message, the type of its fields by their numbers, as in onnx.proto.
MESSAGES: Dict[str, Dict[int, str]] = {
    'model': {7: 'graph', 14: 'property', 25: 'function'},
    'graph': {1: 'node', 5: 'tensor', 15: 'sparse tensor'},
    'function': {7: 'node'},
    'node': {4: 'operator', 5: 'attribute', 7: 'domain'},
    'attribute': {5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse tensor', 23: 'sparse tensor'},
    'sparse tensor': {1: 'tensor', 2: 'tensor'},
    'tensor': {13: 'external data', 14: 'location'},
    'property': {1: 'key', 2: 'value'},
}
#: Names of ONNX's own operators' domain.
STANDARD = ('', 'ai.onnx')
#: Branches and loops have graphs in graphs. Deeper ones than these are in no file of ours.
DEEPEST = 40
#: Every ONNX file begins with the field ir_version.
BEGIN = b'\x08'


class Damaged(ValueError):
    """The bytes are not the messages that they should be."""


def read_properties(file: Path) -> Dict[str, str]:
    """The metadata of a model file, texts by their names.

    Raises:
        FishNetError: If it is not an ONNX file, damaged, or would make the runtime open other files or run other code.
    """
    try:
        with file.open('rb') as opened:
            if opened.read(1) != BEGIN:
                raise FishNetError(f'{file} is not an ONNX file')
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _properties(file, data)
    except OSError as error:
        raise FishNetError(f'the model {file} cannot be read: {error.strerror}') from error
    except (Damaged, UnicodeDecodeError) as error:
        raise FishNetError(f'{file} is a damaged or incomplete ONNX file, or none: copy or export it again') from error


def _properties(file: Path, data) -> Dict[str, str]:
    """The metadata in the bytes of a file, all of whose graph is checked."""
    properties, graphs = {}, 0
    for path, fields in _messages(data, ('model',), 0, len(data)):
        kind = path[-1]
        if kind == 'property':
            properties[_text(fields, 'key')] = _text(fields, 'value')
        elif kind == 'node' and _text(fields, 'domain') not in STANDARD:
            operator, domain = _text(fields, 'operator'), _text(fields, 'domain')
            raise FishNetError(
                f"{file} has the operator {operator!r} of {domain!r}, which is not ONNX's own: only standard operators are run"
            )
        elif kind == 'tensor' and ('external data' in fields or fields.get('location')):
            raise FishNetError(f'{file} keeps weights in other files, which are not opened: save the model as one file')
        graphs += path == ('model', 'graph')
    if graphs != 1:
        raise Damaged
    return properties


def _text(fields: dict, name: str) -> str:
    return bytes(fields.get(name, b'')).decode()


def _messages(data, path: Tuple[str, ...], begin: int, end: int) -> Iterator[Tuple[Tuple[str, ...], dict]]:
    """All messages in a part of the bytes, each after those in it: the types from the file down to it, and its own fields."""
    if len(path) > DEEPEST:
        raise Damaged
    fields: dict = {}
    inner: List[Tuple[str, int, int]] = []
    kinds = MESSAGES[path[-1]]
    while begin < end:
        tag, begin = _number(data, begin, end)
        value, begin = _skip(data, tag & 7, begin, end)
        kind = kinds.get(tag >> 3)
        if kind in MESSAGES:
            if not isinstance(value, slice):
                raise Damaged
            inner.append((kind, value.start, value.stop))
        elif kind is not None:
            fields[kind] = data[value] if isinstance(value, slice) else value
    for kind, first, last in inner:
        yield from _messages(data, (*path, kind), first, last)
    yield path, fields


def _number(data, at: int, end: int) -> Tuple[int, int]:
    """A number of 7 bits a byte, and where it ends."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise Damaged
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
    raise Damaged


def _skip(data, wire: int, at: int, end: int):
    """The value of a field, as a number or as a slice of the bytes, and where it ends."""
    if wire == 0:
        return _number(data, at, end)
    if wire == 2:
        length, at = _number(data, at, end)
    elif wire in (1, 5):
        length = 8 if wire == 1 else 4
    else:
        raise Damaged
    if at + length > end:
        raise Damaged
    return slice(at, at + length), at + length
