"""What messages show of a text out of a file."""

import pytest

from fishnet_mmdet.checkpoints.reading import file_format
from fishnet_mmdet.checkpoints.text import check_path, shown, some
from fishnet_mmdet.errors import FishNetError


@pytest.mark.parametrize(
    'text, expected',
    [
        ('backbone.stem.conv1.weight', 'backbone.stem.conv1.weight'),
        ('bär', 'bär'),
        ('x\nerror: y\r\x1b[2J', r'x\nerror: y\r\x1b[2J'),
        ('\ud800\u202e\u2028', r'\ud800\u202e\u2028'),
        ('a' * 100, 'a' * 100),
        ('a' * 100 + 'b' * 1_000_000, 'a' * 66 + '...' + 'b' * 34),
    ],
    ids=['name', 'letters', 'control', 'invisible', 'short', 'long'],
)
def test_a_text_is_one_short_line(text, expected):
    assert shown(text) == expected


def test_some_names():
    assert some(['a', 'b\n']) == r'a, b\n'
    assert some([str(i) for i in range(9)]) == '0, 1, 2, 3, 4 ...'
    assert len(some(['x' * 10**6] * 9)) < 1100


@pytest.mark.parametrize(
    'path, problem',
    [
        ('x\nerror: y.pth', 'control characters'),
        ('x\0.pth', 'control characters'),
        ('', 'has 0 characters'),
        ('x' * 5000, 'has 5,000 characters'),
    ],
    ids=['line', 'zero', 'empty', 'long'],
)
def test_what_is_no_path(path, problem):
    for check in (check_path, file_format):
        with pytest.raises(FishNetError, match=problem) as error:
            check(path)
        assert str(error.value).isprintable() and len(str(error.value)) < 300


def test_a_name_too_long_for_the_file_system(tmp_path):
    with pytest.raises(FishNetError, match='cannot be read: File name too long') as error:
        file_format(tmp_path / ('x' * 300))
    assert len(str(error.value)) < 400
