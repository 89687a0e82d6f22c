"""Reading an annotation file in COCO's format. Only the outline is checked here; ``coco_checks.py`` checks the entries."""

import json
import os
from collections import Counter
from typing import List, NamedTuple, Optional

from mmengine import fileio

from ..errors import FishNetError

EXPECTED = """COCO's format is one JSON object with three lists of objects:
    {"images": [{"id", "file_name", "height", "width"}, ...],
     "annotations": [{"id", "image_id", "category_id", "bbox": [x, y, w, h], "area", "iscrowd", "segmentation"}, ...],
     "categories": [{"id", "name"}, ...]}"""
#: How a file begins that is something else, what it is, and what to do.
OTHER_FORMATS = (
    (b'\x1f\x8b', 'is gzipped', 'unpack it with gunzip'),
    (b'PK\x03\x04', 'is a zip archive', 'unpack it with unzip'),
    (b'BZh', 'is compressed with bzip2', 'unpack it with bunzip2'),
    (b'\xfd7zXZ\x00', 'is compressed with xz', 'unpack it with unxz'),
    (b'\xff\xfe', 'is in UTF-16', 'save it as UTF-8'),
    (b'\xfe\xff', 'is in UTF-16', 'save it as UTF-8'),
    (b'{\x00', 'is in UTF-16', 'save it as UTF-8'),
    (b'\x00{', 'is in UTF-16', 'save it as UTF-8'),
    (b'\xef\xbb\xbf', 'begins with a byte order mark', 'save it as UTF-8 without BOM'),
    (b'version https://git-lfs', 'is a pointer of Git LFS', 'fetch the file with git lfs pull'),
    (b'<', 'is XML or a web page', 'convert it to COCO, or download it again'),
)


class CocoFile(NamedTuple):
    """The content of an annotation file. The keys and values of the entries are not checked."""

    path: str
    images: List[dict]
    annotations: List[dict]
    categories: List[dict]


def read_coco(path: str, backend_args: Optional[dict] = None, annotated: bool = True) -> CocoFile:
    """Reads an annotation file in COCO's format.

    Args:
        path (str): Path or URL.
        backend_args (dict, optional): Storage of the file, as for mmengine's ``fileio``.
        annotated (bool): Whether the file must have annotations. COCO's files of test images have none.

    Raises:
        FishNetError: If the file is missing, empty, truncated, compressed, not UTF-8, not JSON, or lacks one of the lists.
    """
    data = _read_bytes(path, backend_args)
    if not data.strip():
        raise FishNetError(f'the annotation file {path} is empty: copy or export it again')
    for start, what, remedy in OTHER_FORMATS:
        if data.startswith(start):
            raise FishNetError(f'the annotation file {path} {what}: {remedy}')
    content = _parse(path, data)
    del data
    if not isinstance(content, dict):
        raise FishNetError(
            f"the annotation file {path} is not in COCO's format: its JSON is {_kind(content)}, not an object.\n{EXPECTED}"
        )
    lists = [_list_of_objects(path, content, key) for key in ('images', 'categories')]
    annotations = _list_of_objects(path, content, 'annotations') if annotated or 'annotations' in content else []
    return CocoFile(path, lists[0], annotations, lists[1])


def class_names(file: CocoFile) -> List[str]:
    """The names of the categories, in the order of the file, which is the order of mmdet's labels.

    Raises:
        FishNetError: If there are none, an id or name is missing or has another type, or is there twice.
    """
    if not file.categories:
        raise FishNetError(f'{file.path} has no categories: list every class as {{"id": 1, "name": "cat"}}')
    for key, kind, example in (('id', int, 'a whole number'), ('name', str, 'a text')):
        values = [category.get(key) for category in file.categories]
        wrong = [value for value in values if not isinstance(value, kind) or isinstance(value, bool)]
        if wrong:
            raise FishNetError(f'{file.path} has a category with {key} {short(wrong[0])}: every {key} must be {example}')
        value, count = Counter(values).most_common(1)[0]
        if count > 1:
            raise FishNetError(f'{file.path} has {count} categories with {key} {short(value)}: every {key} must be unique')
    return [category['name'] for category in file.categories]


def _read_bytes(path: str, backend_args: Optional[dict]) -> bytes:
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for
        raise FishNetError(f'the annotation file {path} is no file: correct ann_file')
    try:
        return fileio.get(path, backend_args=backend_args)
    except FileNotFoundError as error:
        raise FishNetError(f'there is no annotation file {path}: correct ann_file, or data_root') from error
    except OSError as error:
        raise FishNetError(f'the annotation file {path} cannot be read: {error.strerror or error}') from error
    except Exception as error:  # a storage backend raises errors of its own, or its client is not installed
        raise FishNetError(f'the annotation file {path} cannot be read: {type(error).__name__}: {error}') from error


def _parse(path: str, data: bytes) -> object:
    try:
        return json.loads(data.decode())
    except UnicodeDecodeError as error:
        raise FishNetError(
            f'the annotation file {path} is not UTF-8 (byte {error.start:,} is {data[error.start]:#04x}): '
            'it is damaged, or must be saved as UTF-8'
        ) from error
    except json.JSONDecodeError as error:
        rest = error.doc[error.pos :].strip()
        # An unclosed string is reported where it begins.
        if not rest or error.msg.startswith('Unterminated'):
            raise FishNetError(
                f'the annotation file {path} is truncated: it ends in the middle, after {len(data):,} bytes; copy it again'
            ) from error
        raise FishNetError(
            f'the annotation file {path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}: '
            f'{short(rest)}; export it again'
        ) from error
    except (RecursionError, ValueError) as error:  # nested without end, or a number of thousands of digits
        raise FishNetError(f'the annotation file {path} cannot be parsed ({short(str(error))}): export it again') from error


def _list_of_objects(path: str, content: dict, key: str) -> List[dict]:
    if key not in content:
        found = ', '.join(map(short, list(content)[:10])) or 'nothing'
        problem = f"is not in COCO's format: it lacks {key!r}, and has {found}"
        raise FishNetError(f'the annotation file {path} {problem}.\n{EXPECTED}')
    entries = content[key]
    if not isinstance(entries, list):
        raise FishNetError(f'{key!r} of the annotation file {path} is {_kind(entries)}, not a list.\n{EXPECTED}')
    wrong = next((at for at, entry in enumerate(entries) if not isinstance(entry, dict)), None)
    if wrong is not None:
        raise FishNetError(
            f'entry {wrong} of {key!r} in the annotation file {path} is {short(entries[wrong])}, not an object.\n{EXPECTED}'
        )
    return entries


def _kind(value: object) -> str:
    """What JSON calls a value."""
    kinds = {dict: 'an object', list: 'a list', str: 'a text', bool: 'a boolean', type(None): 'null'}
    return kinds.get(type(value), 'a number')


def short(value: object) -> str:
    """A value for a message: on one line, with control characters escaped, and not longer than a few words."""
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
