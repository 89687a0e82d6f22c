"""Zip archives of torch.save: a record has a place of its own, its bytes as they are, and its checksum."""

import io
import struct
import warnings
import zipfile

import numpy as np
import pytest
import torch

from fishnet_mmdet.checkpoints import read_checkpoint
from fishnet_mmdet.errors import FishNetError

WEIGHT = torch.arange(1000.0)
ENTRY = b'PK\x01\x02'


@pytest.fixture
def file(tmp_path):
    torch.save(dict(state_dict=dict(weight=WEIGHT, other=WEIGHT + 1)), tmp_path / 'x.pth')
    return tmp_path / 'x.pth'


def message_of_refusal(file):
    with pytest.raises(FishNetError) as error:
        read_checkpoint(file)
    assert str(file) in str(error.value) and str(error.value).isprintable()
    return str(error.value)


def rewritten(file, change):
    """Writes the archive again, each record as a change wants it: (name, bytes, compression) or several of them."""
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file) as old, zipfile.ZipFile(out, 'w') as new:
        warnings.simplefilter('ignore')  # of names that are there twice
        for member in old.infolist():
            for name, content, compression in change(member.filename, old.read(member)):
                new.writestr(name, content, compression)
    file.write_bytes(out.getvalue())


def test_any_changed_bit_of_the_weights_is_noticed(file):
    content = bytearray(file.read_bytes())
    start = content.index(WEIGHT.numpy().tobytes())
    for place in np.random.RandomState(0).randint(start, start + 4000, 50):
        content[place] ^= 4
        file.write_bytes(content)
        assert 'damaged: the checksum of its record data/0 differs' in message_of_refusal(file)
        content[place] ^= 4
    file.write_bytes(content)
    assert torch.equal(read_checkpoint(file)['state_dict']['weight'], WEIGHT)


def test_an_archive_written_by_another_program(file):
    rewritten(file, lambda name, content: [(name, content, zipfile.ZIP_STORED)])
    assert torch.equal(read_checkpoint(file)['state_dict']['weight'], WEIGHT)


def test_compressed_records(file):
    rewritten(file, lambda name, content: [(name, content, zipfile.ZIP_DEFLATED)])
    assert 'is compressed' in message_of_refusal(file)


def test_a_record_that_is_there_twice(file):
    rewritten(file, lambda name, content: [(name, content, zipfile.ZIP_STORED)] * (2 if name.endswith('data/0') else 1))
    assert 'overlaps another one, or the end' in message_of_refusal(file)


def entry_of(content, name):
    """Where the central directory has a record."""
    place = content.index(ENTRY)
    while content[place + 46 : place + 46 + len(name)] != name:
        place = content.index(ENTRY, place + 1)
    return place


def test_records_that_overlap(file):
    content = bytearray(file.read_bytes())
    one, other = (entry_of(content, b'x/data/' + key) for key in (b'0', b'1'))
    content[other + 42 : other + 46] = content[one + 42 : one + 46]
    file.write_bytes(content)
    assert 'overlaps another one, or the end' in message_of_refusal(file)


def test_a_record_behind_the_end(file):
    content = bytearray(file.read_bytes())
    struct.pack_into('<II', content, entry_of(content, b'x/data/1') + 20, 10**9, 10**9)
    file.write_bytes(content)
    assert 'overlaps another one, or the end' in message_of_refusal(file)


def test_another_byte_order(file):
    def change(name, content):
        return [(name, b'big' if name.endswith('byteorder') else content, zipfile.ZIP_STORED)]

    with zipfile.ZipFile(file) as archive:
        if not any(name.endswith('byteorder') for name in archive.namelist()):
            pytest.skip('this PyTorch does not write the byte order')
    rewritten(file, change)
    assert 'another byte order' in message_of_refusal(file)


def test_without_checksums(file):
    if not hasattr(torch.serialization, 'set_crc32_options'):
        pytest.skip('this PyTorch always writes checksums')
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(dict(state_dict=dict(weight=WEIGHT)), file)
    finally:
        torch.serialization.set_crc32_options(True)
    assert torch.equal(read_checkpoint(file)['state_dict']['weight'], WEIGHT)
