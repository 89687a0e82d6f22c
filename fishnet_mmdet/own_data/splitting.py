"""A validation part, set aside from data that comes without one."""

import json
import os
import random
from pathlib import Path
from typing import Dict

from ..datasets.coco_file import CocoFile
from ..errors import FishNetError
from .layouts import Part

SHARE = 0.1
SEED = 0


def set_aside(parts: Dict[str, Part], folder: Path) -> int:
    """Splits the training part in two, if there is no validation part, and writes both annotation files.

    The images are chosen by the seed and by their file names, so a second call chooses the same.

    Args:
        parts (dict[str, Part]): The parts; 'train' is replaced, and 'val' is added.
        folder (Path): The folder to write ``train.json`` and ``val.json`` to.

    Returns:
        int: The number of images that are set aside.

    Raises:
        FishNetError: If there are fewer than two images, or a file cannot be written.
    """
    whole, images = parts['train']
    chosen = choose([str(image['file_name']) for image in whole.images], whole.path)
    for part in ('train', 'val'):
        kept = [image for image in whole.images if (image['file_name'] in chosen) == (part == 'val')]
        ids = {image['id'] for image in kept}
        annotations = [one for one in whole.annotations if one['image_id'] in ids]
        parts[part] = Part(write(CocoFile(str(folder / f'{part}.json'), kept, annotations, whole.categories)), images)
    return len(chosen)


def choose(names: list, source: str) -> set:
    """The names to set aside: a tenth, at least one.

    Raises:
        FishNetError: If there are fewer than two.
    """
    if len(names) < 2:
        raise FishNetError(f'{source} has {len(names)} image, and training needs two: one to train, one to validate')
    return set(random.Random(SEED).sample(sorted(names), max(1, round(SHARE * len(names)))))


def write(file: CocoFile) -> CocoFile:
    """Writes an annotation file; another process sees the complete file or none.

    Raises:
        FishNetError: If it cannot be written.
    """
    path = Path(file.path)
    # Each process of a distributed run writes the same content, to a file of its own first.
    scratch = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps({key: value for key, value in file._asdict().items() if key != 'path'}))
        scratch.replace(path)
    except OSError as error:
        raise FishNetError(f'{path} cannot be written ({error.strerror}): choose another --work-dir') from error
    return file
