"""Arguments and output files that several commands have."""

import json
import re
from pathlib import Path
from typing import Callable, Tuple

from matplotlib.figure import Figure

from ..errors import FishNetError


def parse_size(text: str) -> Tuple[int, int]:
    """Reads an image size, height x width in pixels: '800x1344'.

    Raises:
        FishNetError: If the text is no size.
    """
    match = re.fullmatch(r'([1-9]\d*)x([1-9]\d*)', text)
    if not match:
        raise FishNetError(f'{text!r} is not an image size: give --size as height x width in pixels, such as 800x1344')
    return int(match[1]), int(match[2])


def save_json(content, file: Path, option: str) -> None:
    """Writes a JSON file that a command's option names.

    Raises:
        FishNetError: If the file cannot be written.
    """
    _write(lambda: file.write_text(json.dumps(content, indent=1) + '\n'), file, option, '.json')


def save_figure(figure: Figure, file: Path, option: str) -> None:
    """Writes a picture that a command's option names.

    Raises:
        FishNetError: If the file cannot be written, or the ending of its name is no picture format.
    """
    _write(lambda: figure.savefig(file), file, option, '.png')


def _write(save: Callable[[], object], file: Path, option: str, ending: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save()
    except (OSError, ValueError) as error:
        raise FishNetError(f'cannot write {file} ({error}): give {option} a file name that ends with {ending}') from error
