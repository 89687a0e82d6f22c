"""Annotation files that cannot be read, each with a message that says why and what to do."""

import gzip
import json
import os

import pytest
from mmengine.fileio import BaseStorageBackend, register_backend

from fishnet_mmdet.datasets.coco_file import class_names, read_coco
from fishnet_mmdet.errors import FishNetError

CONTENT = dict(
    images=[dict(id=1, file_name='1.png', height=40, width=60)],
    annotations=[dict(id=1, image_id=1, category_id=3, bbox=[20, 10, 10, 10], area=100, iscrowd=0)],
    categories=[dict(id=3, name='cat'), dict(id=2, name='dog')],
)
TEXT = json.dumps(CONTENT)


def test_a_right_file(tmp_path):
    file = tmp_path / 'right.json'
    file.write_text(TEXT)
    content = read_coco(str(file))
    assert content._asdict() == dict(CONTENT, path=str(file))
    assert class_names(content) == ['cat', 'dog']


def test_files_of_test_images_have_no_annotations(tmp_path):
    file = tmp_path / 'test.json'
    file.write_text(json.dumps({key: CONTENT[key] for key in ('images', 'categories')}))
    assert read_coco(str(file), annotated=False).annotations == []
    with pytest.raises(FishNetError, match="lacks 'annotations', and has 'images', 'categories'"):
        read_coco(str(file))


@pytest.mark.parametrize(
    'data, message',
    [
        (b'', 'is empty: copy or export it again'),
        (b' \n', 'is empty'),
        (gzip.compress(TEXT.encode()), 'is gzipped: unpack it with gunzip'),
        (TEXT.encode('utf-16'), 'is in UTF-16: save it as UTF-8'),
        (TEXT.encode('utf-16-le'), 'is in UTF-16: save it as UTF-8'),
        (TEXT.encode('utf-8-sig'), 'begins with a byte order mark: save it as UTF-8 without BOM'),
        (TEXT.replace('cat', 'kätzchen').encode('latin-1'), r'is not UTF-8 \(byte [0-9]+ is 0xe4\)'),
        (b'<!DOCTYPE html><html></html>', 'is XML or a web page: convert it to COCO, or download it again'),
        (b'version https://git-lfs.github.com/spec/v1\n', 'is a pointer of Git LFS: fetch the file with git lfs pull'),
        (TEXT[: len(TEXT) // 2].encode(), 'is truncated: it ends in the middle, after [0-9,]+ bytes; copy it again'),
        (TEXT[: TEXT.index('file_name') + 4].encode(), 'is truncated'),
        (TEXT.replace(':', '=', 1).encode(), "is not JSON: Expecting ':' delimiter in line 1, column 10: '= "),
        (TEXT.encode() + b'}', 'is not JSON: Extra data'),
        (b'[' * 200_000, 'cannot be parsed'),
        (b'{"images": ' + b'9' * 5000 + b'}', "cannot be parsed|'images' of .* is a number, not a list"),
        (b'[]', "is not in COCO's format: its JSON is a list, not an object"),
        (b'{"metainfo": {}, "data_list": []}', "lacks 'images', and has 'metainfo', 'data_list'"),
        (b'{"images": {}, "annotations": [], "categories": []}', "'images' of .* is an object, not a list"),
        (b'{"images": [], "annotations": [1], "categories": []}', "entry 0 of 'annotations' .* is 1, not an object"),
    ],
    # Not the bytes: gzip's hold the time, and the processes of a test run must find the same names.
    ids=lambda value: 'file' if isinstance(value, bytes) else value,
)
def test_files_that_are_not_coco(tmp_path, data, message):
    file = tmp_path / 'wrong.json'
    file.write_bytes(data)
    with pytest.raises(FishNetError, match=message) as error:
        read_coco(str(file))
    assert str(file) in str(error.value)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FishNetError, match=f'there is no annotation file {tmp_path}/nowhere.json: correct ann_file'):
        read_coco(f'{tmp_path}/nowhere.json')
    with pytest.raises(FishNetError, match=f'the annotation file {tmp_path} is no file'):
        read_coco(str(tmp_path))
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(FishNetError, match='pipe is no file'):
        read_coco(str(tmp_path / 'pipe'))


@pytest.mark.parametrize(
    'categories, message',
    [
        ([], r'has no categories: list every class as \{"id": 1, "name": "cat"\}'),
        ([dict(id='1', name='cat')], "category with id '1': every id must be a whole number"),
        ([dict(name='cat')], 'category with id None'),
        ([dict(id=1)], 'category with name None: every name must be a text'),
        ([dict(id=1, name='cat'), dict(id=1, name='dog')], '2 categories with id 1: every id must be unique'),
        ([dict(id=1, name='cat'), dict(id=2, name='cat')], "2 categories with name 'cat'"),
    ],
)
def test_categories(tmp_path, categories, message):
    file = tmp_path / 'classes.json'
    file.write_text(json.dumps(dict(CONTENT, categories=categories)))
    with pytest.raises(FishNetError, match=message):
        class_names(read_coco(str(file)))


class Shelf(BaseStorageBackend):
    """A storage that the file system does not have."""

    def __init__(self, content):
        self.content = content

    def get(self, filepath):
        return self.content[filepath].encode()

    def get_text(self, filepath, encoding='utf-8'):
        return self.content[filepath]


def test_storage_backends():
    register_backend('coco_shelf', Shelf, force=True)
    backend_args = dict(backend='coco_shelf', content={'shelf/1.json': TEXT})
    assert read_coco('shelf/1.json', backend_args).images == CONTENT['images']
