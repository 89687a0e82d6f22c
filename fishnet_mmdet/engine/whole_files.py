"""Files that are whole or not there, whatever happens while they are written."""

import os
from pathlib import Path

SUFFIX = '.part'


def part_of(file: Path) -> Path:
    """Where a file is written until it is whole: beside it, so that it only has to be renamed."""
    return file.with_name(f'.{file.name}{SUFFIX}')


def publish(file: Path) -> None:
    """Gives a file that was written as :func:`part_of` says its name, when all of it is on the disk."""
    part = part_of(file)
    with open(part, 'rb+') as written:
        os.fsync(written.fileno())
    os.replace(part, file)
    if os.name == 'nt':  # Windows cannot sync a folder.
        return
    # The new name is on the disk when the folder is.
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_text(file: Path, text: str) -> None:
    """Writes a text file."""
    part_of(file).write_text(text)
    publish(file)


def remove_parts(folder: Path) -> None:
    """Removes what interrupted writes left in a folder."""
    for part in folder.glob(f'.*{SUFFIX}'):
        part.unlink()
