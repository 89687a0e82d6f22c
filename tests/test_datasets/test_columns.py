"""Arrays from parsed JSON."""

import numpy as np
import pytest

from fishnet_mmdet.datasets.columns import numbers, rows, whole_numbers

HUGE = 10**400


@pytest.mark.parametrize(
    'values, expected, whole',
    [
        ([], [], []),
        ([1, -2], [1, -2], [True, True]),
        ([1, 2.0, 2.5], [1, 2, 0], [True, True, False]),
        ([1, True, None, '3', [4], {}], [1, 0, 0, 0, 0, 0], [True] + [False] * 5),
        ([HUGE, 2**63 - 1, 2**63, 3], [0, 2**63 - 1, 0, 3], [False, True, False, True]),
        ([float('nan'), float('inf'), 1e300, 4], [0, 0, 0, 4], [False, False, False, True]),
    ],
)
def test_whole_numbers(values, expected, whole):
    found, marks = whole_numbers(values)
    assert found.dtype == np.int64 and found.tolist() == expected and marks.tolist() == whole


def test_numbers():
    np.testing.assert_array_equal(numbers([1, 2.5]), [1, 2.5])
    np.testing.assert_array_equal(numbers([1, True, None, '3', HUGE]), [1, np.nan, np.nan, np.nan, np.inf])


def test_rows():
    found = rows([[1, 2], (3, 4), [5], None, 'ab', [6, 'x']], 2)
    np.testing.assert_array_equal(found, [[1, 2], *[[np.nan] * 2] * 4, [6, np.nan]])
    assert rows([], 4).shape == (0, 4)
