"""Values out of parsed JSON as arrays, whatever they are: what is not a number is marked, and raises nothing."""

from typing import Iterable, List, Sequence, Tuple

import numpy as np

#: JSON's numbers without booleans, which are integers in Python.
NUMBERS = {int, float}
LIMITS = np.iinfo(np.int64)


def types_of(values: Iterable) -> set:
    """The types of some values."""
    return set(map(type, values))


def numbers(values: Sequence) -> np.ndarray:
    """Values as (n,) float64; NaN for what is not a number."""
    if types_of(values) <= NUMBERS:
        try:
            return np.fromiter(values, np.float64, len(values))
        except OverflowError:  # an integer of hundreds of digits
            pass
    return np.array([_number(value) for value in values], np.float64)


def whole_numbers(values: Sequence) -> Tuple[np.ndarray, np.ndarray]:
    """Values as (n,) int64, and (n,) bool whether they are whole numbers (3 or 3.0); 0 for what is not."""
    if types_of(values) == {int}:
        try:
            return np.fromiter(values, np.int64, len(values)), np.ones(len(values), bool)
        except OverflowError:
            pass
    whole = [type(value) in NUMBERS and LIMITS.min <= value <= LIMITS.max and value == int(value) for value in values]
    return np.array([int(value) if good else 0 for value, good in zip(values, whole)], np.int64), np.array(whole, bool)


def rows(values: Sequence, length: int) -> np.ndarray:
    """Lists of ``length`` numbers as (n, length) float64; NaN for what is not a number, or not such a list."""
    none = [None] * length
    lists = [value if type(value) is list and len(value) == length else none for value in values]
    return numbers([number for row in lists for number in row]).reshape(-1, length)


def column(entries: List[dict], key: str) -> list:
    """The values of a key; None where it is missing."""
    return [entry.get(key) for entry in entries]


def _number(value: object) -> float:
    try:
        return float(value) if type(value) in NUMBERS else np.nan
    except OverflowError:
        return np.inf
