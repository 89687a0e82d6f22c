"""Files are whole or not there."""

import os

import pytest

from fishnet_mmdet.engine.whole_files import part_of, publish, remove_parts, write_text


@pytest.mark.skipif(not os.path.exists('/proc/self/fd'), reason='this system does not list open files')
def test_a_file_is_synced_before_it_gets_its_name(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, 'fsync', lambda fd: steps.append(os.path.basename(os.readlink(f'/proc/self/fd/{fd}'))) or fsync(fd)
    )
    monkeypatch.setattr(os, 'replace', lambda a, b: steps.append(f'{a.name} -> {b.name}') or replace(a, b))
    file = tmp_path / 'epoch_1.pth'
    part_of(file).write_bytes(b'weights')
    publish(file)
    assert steps == ['.epoch_1.pth.part', '.epoch_1.pth.part -> epoch_1.pth', tmp_path.name]
    assert [path.name for path in tmp_path.iterdir()] == ['epoch_1.pth'] and file.read_bytes() == b'weights'


def test_text_replaces_text(tmp_path):
    for text in ('one', 'two'):
        write_text(tmp_path / 'last_checkpoint', text)
    assert (tmp_path / 'last_checkpoint').read_text() == 'two'


def test_only_parts_are_removed(tmp_path):
    for name in ('.a.pth.part', 'b.pth', '.hidden', 'c.part'):
        (tmp_path / name).touch()
    remove_parts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['.hidden', 'b.pth', 'c.part']
