"""The parts of a data set, and the copies of annotation files that differ from what the user gave."""

import json
import os
from pathlib import Path
from typing import Dict, List, NamedTuple

from ..datasets.coco_file import CocoFile
from ..errors import FishNetError


class Part(NamedTuple):
    """One part of a data set."""

    file: CocoFile
    images: Path
    """The folder that the file names of the images are relative to."""
    changed: bool = False
    """Whether the annotations are no longer those of the file at their path."""


def write_changed(parts: Dict[str, Part], folder: Path) -> List[str]:
    """Writes the annotations that changed.

    Args:
        parts (dict[str, Part]): The parts; those that are written get the new path.
        folder (Path): The folder to write ``train.json``, ``val.json`` and ``test.json`` to.

    Returns:
        list[str]: The names of the files.

    Raises:
        FishNetError: If a file cannot be written.
    """
    written = []
    for name, part in parts.items():
        if part.changed:
            path = folder / f'{name}.json'
            _write(part.file, path)
            parts[name] = Part(part.file._replace(path=str(path)), part.images)
            written.append(path.name)
    return written


def _write(file: CocoFile, path: Path) -> None:
    # Each process of a distributed run writes the same content, to a file of its own first: others never see a part of it.
    scratch = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps({key: value for key, value in file._asdict().items() if key != 'path'}))
        scratch.replace(path)
    except OSError as error:
        raise FishNetError(f'{path} cannot be written ({error.strerror}): choose another --work-dir') from error
