"""Pickles read as data: an interpreter of the few opcodes that ``torch.save`` writes.

Python's own unpickler, and torch's with ``weights_only``, call what a file names with any arguments: ``torch.Tensor(10**12)``
takes all memory, ``_codecs.encode(text, 'idna')`` all time, and a sparse or nested tensor is made unchecked. Here a file can
only name what a table allows, and the functions of the table check their arguments.
"""

import pickletools
from collections import Counter, OrderedDict
from pickle import UnpicklingError
from typing import Any, BinaryIO, Callable, Dict, List, Mapping, NamedTuple

from .text import shown

#: Of containers in containers; training states have about 10.
DEEPEST = 100
#: Values in all containers together; the training state of a large detector has some 20,000.
MOST_VALUES = 1 << 21
#: Python hashes larger integers modulo 2**61 - 1, so a file could make a dict slow with keys of one hash.
LARGEST_KEY = 1 << 60


class Refused(Exception):
    """A pickle that is not data, or no training state. The message completes 'FILE ...'."""


class Function(NamedTuple):
    """A function that a pickle may call. A value of its own, so that nothing in a file can change it."""

    name: str
    call: Callable


class Budget:
    """How many bytes the calls of a file may make, so that a small file cannot fill the memory.

    Args:
        size (int): Of the file, in bytes.
    """

    def __init__(self, size: int) -> None:
        self.left = 16 * size + (1 << 20)

    def take(self, size: int) -> None:
        """Takes some bytes.

        Raises:
            Refused: If they are not left.
        """
        self.left -= size
        if self.left < 0:
            raise Refused('takes far more memory than the file has bytes: it was made to fill the memory')


class Interpreter:
    """The state of one pickle while it is read.

    Args:
        named (Mapping[str, Any]): What the pickle may name: a :class:`Function`, or a value.
        build (Callable): ``build(value, state)`` sets the state of a value, in place.
        persistent_load (Callable): Gives the storage of a persistent id.
    """

    def __init__(self, named: Mapping[str, Any], build: Callable, persistent_load: Callable) -> None:
        self.named = named
        self.build = build
        self.persistent_load = persistent_load
        self.stack: List[Any] = []
        self.marks: List[List[Any]] = []
        self.memo: Dict[int, Any] = {}

    def load(self, stream: BinaryIO) -> Any:
        """Reads one pickle; the stream is left behind its end.

        Raises:
            Refused: If it is not data.
            Exception: Of any type, if it is damaged.
        """
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == 'STOP':
                return self.stack.pop()
            if opcode.name in VALUES:
                self.stack.append(VALUES[opcode.name](argument))
            elif opcode.name in ACTIONS:
                ACTIONS[opcode.name](self, argument)
            else:
                raise Refused(f'is pickled with the opcode {opcode.name}, which torch.save does not write')

    def begin(self, _) -> None:
        """Begins the items that a container takes."""
        self.marks.append(self.stack)
        self.stack = []

    def items(self) -> List[Any]:
        """The values since :meth:`begin`."""
        items, self.stack = self.stack, self.marks.pop()
        return items

    def tuple_of_items(self, _) -> None:
        """Puts the values since :meth:`begin` into a tuple."""
        items = tuple(self.items())
        self.stack.append(items)

    def tuple_of(self, size: int) -> None:
        """Puts the last values into a tuple."""
        items = tuple(self.stack[-size:])
        if len(items) != size:
            raise UnpicklingError('a pickle with a damaged tuple')
        self.stack[-size:] = [items]

    def extend(self, items: List[Any]) -> None:
        """Appends items to the list below them."""
        if type(self.stack[-1]) is not list:
            raise UnpicklingError('a pickle that appends to what is no list')
        self.stack[-1].extend(items)

    def set_items(self, items: List[Any]) -> None:
        """Sets keys and values in the dict below them."""
        if type(self.stack[-1]) not in (dict, OrderedDict, Counter) or len(items) % 2:
            raise UnpicklingError('a pickle that sets keys of what is no dict')
        for key, value in zip(items[::2], items[1::2]):
            check_key(key)
            self.stack[-1][key] = value

    def name(self, argument: str) -> None:
        """Pushes what the pickle names."""
        name = argument.replace(' ', '.', 1)
        try:
            self.stack.append(self.named[name])
        except KeyError as error:
            problem = f'it names code that reading would run ({shown(name)})'
            raise Refused(f'is not a checkpoint that can be read safely: {problem}') from error

    def reduce(self, _) -> None:
        """Calls a function."""
        arguments = self.stack.pop()
        function = self.stack.pop()
        if type(function) is not Function or type(arguments) is not tuple:
            raise UnpicklingError('a pickle that calls what is no function')
        self.stack.append(function.call(*arguments))

    def set_state(self, _) -> None:
        """Sets the state of the value below it."""
        state = self.stack.pop()
        self.build(self.stack[-1], state)

    def remember(self, index: int) -> None:
        """Keeps the last value for :meth:`recall`."""
        self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> None:
        """Pushes a value once more."""
        self.stack.append(self.memo[index])

    def persistent(self, _) -> None:
        """Pushes the storage of an id."""
        self.stack.append(self.persistent_load(self.stack.pop()))


#: Opcodes that push a value, by what makes it from their argument.
VALUES = {
    **dict.fromkeys(['BININT', 'BININT1', 'BININT2', 'LONG1', 'BINFLOAT', 'BINUNICODE'], lambda value: value),
    **dict.fromkeys(['SHORT_BINSTRING', 'BINSTRING'], lambda value: value),  # texts of Python 2
    'NONE': lambda _: None,
    'NEWTRUE': lambda _: True,
    'NEWFALSE': lambda _: False,
    'EMPTY_DICT': lambda _: {},
    'EMPTY_LIST': lambda _: [],
    'EMPTY_TUPLE': lambda _: (),
}
#: All other opcodes. NEWOBJ is a call too: only the table says what it makes.
ACTIONS = {
    'PROTO': lambda self, _: None,
    'MARK': Interpreter.begin,
    'TUPLE': Interpreter.tuple_of_items,
    'TUPLE1': lambda self, _: self.tuple_of(1),
    'TUPLE2': lambda self, _: self.tuple_of(2),
    'TUPLE3': lambda self, _: self.tuple_of(3),
    'APPEND': lambda self, _: self.extend([self.stack.pop()]),
    'APPENDS': lambda self, _: self.extend(self.items()),
    'SETITEM': lambda self, _: self.set_items([self.stack.pop(-2), self.stack.pop()]),
    'SETITEMS': lambda self, _: self.set_items(self.items()),
    'GLOBAL': Interpreter.name,
    'REDUCE': Interpreter.reduce,
    'NEWOBJ': Interpreter.reduce,
    'BUILD': Interpreter.set_state,
    'BINPUT': Interpreter.remember,
    'LONG_BINPUT': Interpreter.remember,
    'BINGET': Interpreter.recall,
    'LONG_BINGET': Interpreter.recall,
    'BINPERSID': Interpreter.persistent,
}


def check_key(key: Any) -> None:
    """Checks a key of a dict or an element of a set.

    Raises:
        Refused: If it is no text or number: the hash of tuples in tuples can take all of the stack.
    """
    if type(key) not in (str, int, float, bool, bytes, type(None)) or (type(key) is int and abs(key) >= LARGEST_KEY):
        raise Refused(f'has a {type(key).__name__} as the key of a dict: keys are texts or small numbers')


def check_values(content: Any, leaves: tuple) -> None:
    """Checks that a value consists of plain containers and of some types, not too deep and not too large.

    Args:
        content (Any): The value.
        leaves (tuple[type]): The types that it may consist of.

    Raises:
        Refused: If not.
    """
    # Without a set of values that were seen: a file can name one value often, and then whoever walks it needs all of the time.
    level, count = [content], 0
    for _ in range(DEEPEST):
        inner: List[Any] = []
        for value in level:
            if type(value) in (list, tuple, set):
                inner.extend(value)
            elif type(value) in (dict, OrderedDict, Counter):
                inner.extend(value.values())
            elif type(value) not in leaves:
                name = value.name if type(value) is Function else type(value).__name__
                raise Refused(f'is not a checkpoint that can be read safely: it keeps a {name}')
            if count + len(inner) > MOST_VALUES:
                raise Refused(f'has more than {MOST_VALUES:,} values beside its tensors: that is no training state')
        count += len(inner)
        level = inner
        if not level:
            return
    raise Refused(f'has more than {DEEPEST} containers in one another: that is no training state')
