"""Zip archives with a file of weights, as pytorchcv publishes them."""

import struct
import zipfile

import pytest
import torch

from fishnet_mmdet.checkpoints import archive, read_checkpoint
from fishnet_mmdet.checkpoints.reading import file_format
from fishnet_mmdet.errors import FishNetError


@pytest.fixture
def zipped(tmp_path):
    """Writes a zip archive of names and bytes."""

    def write(members, compression=zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / 'x.pth.zip', 'w', compression) as archive:
            for name, content in members:
                archive.writestr(name, content)
        return tmp_path / 'x.pth.zip'

    return write


def message_of_refusal(file):
    before = sorted(file.parent.iterdir())
    with pytest.raises(FishNetError) as error:
        read_checkpoint(file)
    assert str(file) in str(error.value) and '\n' not in str(error.value)
    assert sorted(file.parent.iterdir()) == before
    return str(error.value)


@pytest.mark.parametrize('legacy', [True, False])
@pytest.mark.parametrize('compression', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize('name', ['x.pth', 'folder/x.pth', '../../x.pth', '/x.pth', 'C:\\x.pth'])
def test_the_file_in_an_archive_is_read_and_not_unpacked(name, compression, legacy, zipped, saved, tmp_path):
    file = zipped(
        [('folder/', b''), ('__MACOSX/x.pth', b'x'), ('README.txt', b'x'), (name, saved(legacy=legacy))], compression
    )
    assert file_format(file) == 'zip archive with a file of torch.save'
    assert torch.equal(read_checkpoint(file)['a'], torch.ones(3))
    assert [*tmp_path.iterdir()] == [file]


def test_the_archives_of_torch_are_none(saved, tmp_path):
    for name in ('x.pth', 'x.pth.zip'):
        (tmp_path / name).write_bytes(saved())
        assert file_format(tmp_path / name) == 'torch.save'
        assert archive.member_of(tmp_path / name) is None


def test_one_file_of_weights(zipped, saved):
    assert 'with 0 files of weights' in message_of_refusal(zipped([('a.txt', b'')]))
    assert 'with 2 files of weights' in message_of_refusal(zipped([('a.pth', saved()), ('b.pth', saved())]))


def test_an_archive_in_an_archive(zipped, saved):
    inner = zipped([('a.pth', saved())]).read_bytes()
    assert 'is not a checkpoint' in message_of_refusal(zipped([('x.pth', inner)]))


@pytest.mark.parametrize('content', [b'', b'<html>', bytes(5000)], ids=['empty', 'html', 'zeros'])
def test_no_weights_in_it(content, zipped):
    assert 'is not a checkpoint' in message_of_refusal(zipped([('x.pth', content)]))


def test_a_damaged_archive(zipped, saved):
    file = zipped([('x.pth', saved(dict(a=torch.randn(1000))))], zipfile.ZIP_STORED)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert 'damaged' in message_of_refusal(file)
    for length in range(0, len(content), 101):
        file.write_bytes(content[:length])
        assert 'is not a checkpoint' in message_of_refusal(file)


def test_what_takes_too_much_memory_is_refused_before(zipped, monkeypatch):
    file = zipped([('x.pth', bytes(50_000))])
    assert file.stat().st_size < 1000
    monkeypatch.setattr(archive, 'LARGEST', 40_000)
    assert '50,000 bytes unpacked' in message_of_refusal(file)


def test_what_gets_much_larger_is_refused_before(zipped):
    file = zipped([('x.pth', bytes(20_000_000))])
    assert 'takes 20,000,000 bytes unpacked' in message_of_refusal(file)


def test_other_compressions(zipped, saved):
    assert 'another compression' in message_of_refusal(zipped([('x.pth', saved())], zipfile.ZIP_LZMA))


def test_an_archive_that_says_less_than_it_holds(zipped, monkeypatch):
    """No more than the announced number of bytes is unpacked."""
    file = zipped([('x.pth', bytes(50_000_000))])
    content = file.read_bytes()
    assert content.count(struct.pack('<I', 50_000_000)) == 2
    file.write_bytes(content.replace(struct.pack('<I', 50_000_000), struct.pack('<I', 1000)))
    assert 'damaged' in message_of_refusal(file)


def test_a_password(zipped, saved):
    file = zipped([('x.pth', saved())])
    content = bytearray(file.read_bytes())
    for start, offset in ((b'PK\x03\x04', 6), (b'PK\x01\x02', 8)):
        content[content.index(start) + offset] |= 1
    file.write_bytes(content)
    assert 'password' in message_of_refusal(file)
