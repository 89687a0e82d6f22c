"""The plain values that pickles make with calls: texts as bytes, sets, counters, ordered dicts, complex numbers and sizes."""

from collections import Counter, OrderedDict
from pickle import UnpicklingError
from typing import Any, Dict, List

import torch

from .pickles import Budget, Function, check_key


class PlainTypes:
    """The functions that pickles call to make plain values.

    Args:
        budget (Budget): Of the bytes that they make.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.encoded: Dict[str, bytes] = {}
        makers = {
            'collections.OrderedDict': self.ordered_dict,
            'collections.Counter': self.counter,
            'torch.Size': self.size,
            '_codecs.encode': self.encode,
        }
        builtins = {'set': self.set, 'bytearray': self.bytearray, 'bytes': bytes_of_nothing, 'complex': self.complex}
        for module in ('builtins', '__builtin__'):  # of Python 3 and 2
            makers.update({f'{module}.{name}': maker for name, maker in builtins.items()})
        #: The functions by their names in the files.
        self.functions = {name: Function(name, maker) for name, maker in makers.items()}

    def ordered_dict(self, pairs: List[Any] = ()) -> OrderedDict:
        """A dict, empty or of pairs."""
        made = OrderedDict()
        for key, value in pairs:
            self.budget.take(16)
            check_key(key)
            made[key] = value
        return made

    def counter(self, counts: Dict[Any, int]) -> Counter:
        """What mmengine's schedulers keep their milestones in."""
        self.check(counts, dict)
        return Counter(counts)

    def set(self, items: List[Any]) -> set:
        """A set of texts and numbers."""
        self.check(items, list)
        for item in items:
            check_key(item)
        return set(items)

    def bytearray(self, content: bytes = b'') -> bytearray:
        """Bytes that can be changed."""
        self.check(content, bytes)
        return bytearray(content)

    def size(self, numbers: tuple) -> torch.Size:
        """The shape of a tensor."""
        self.check(numbers, tuple)
        for number in numbers:
            if type(number) is not int:
                raise UnpicklingError('torch.Size was given what is no number')
        return torch.Size(numbers)

    def complex(self, real: float, imaginary: float) -> complex:
        """A complex number."""
        return complex(real, imaginary)

    def encode(self, text: str, codec: str) -> bytes:
        """Bytes, which this protocol of pickle writes as texts. Other codecs than its own take very long."""
        if type(text) is not str or codec != 'latin1':
            raise UnpicklingError('_codecs.encode was given another codec than pickle writes')
        # A file can encode one text often.
        if text not in self.encoded:
            self.encoded[text] = text.encode('latin1')
        return self.encoded[text]

    def check(self, argument: Any, kind: type) -> None:
        """Checks the type of an argument, and takes a copy of it from the budget."""
        if type(argument) is not kind:
            raise UnpicklingError('a function was given another type than pickle writes')
        self.budget.take(8 * len(argument))


def bytes_of_nothing() -> bytes:
    """As pickle writes them."""
    return b''
