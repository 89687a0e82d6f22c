"""Texts out of files and arguments, as a message can print them."""

import re
from pathlib import Path
from typing import Sequence, Union

from ..errors import FishNetError

LONGEST = 100
#: Of names with shapes.
LONGEST_NAME = 200
SHOWN_NAMES = 5
#: Linux allows no longer path.
LONGEST_PATH = 4096
#: Characters that move a terminal's cursor or begin a new line.
CONTROL = r'[\x00-\x1f\x7f-\x9f\u2028\u2029]'


def shown(text: str, longest: int = LONGEST) -> str:
    """A text on one line: control characters escaped, so that it cannot forge another message, and its middle left out."""
    if len(text) > longest:
        text = f'{text[: 2 * longest // 3]}...{text[-longest // 3 :]}'
    return ''.join(c if c.isprintable() else c.encode('unicode_escape').decode() for c in text)


def some(names: Sequence[str]) -> str:
    """The first of some names."""
    return ', '.join(shown(name, LONGEST_NAME) for name in names[:SHOWN_NAMES]) + (' ...' if len(names) > SHOWN_NAMES else '')


def check_path(file: Union[str, Path]) -> None:
    """Checks that a path can be the name of a file, and that a message can print it.

    Raises:
        FishNetError: If it is empty, too long or has control characters.
    """
    text = str(file)
    if not text or len(text) > LONGEST_PATH or re.search(CONTROL, text):
        problem = 'has control characters' if re.search(CONTROL, text) else f'has {len(text):,} characters'
        raise FishNetError(
            f'{shown(text)!r} is no path of a checkpoint: it {problem}; name a file, a URL or published weights'
        )
