"""What a check of an annotation file found, kept in the user's cache: COCO's own file takes seconds to read and check."""

import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

import numpy as np

from .coco_checks import Found, check_coco
from .coco_file import class_names, read_coco
from .columns import column
from .user_cache import cache_folder

#: Increased when the checks change, so that results of older ones are not used.
VERSION = 1


class Summary(NamedTuple):
    """The result of a check in plain values."""

    names: List[str]
    """The names of the categories, in the order of the file."""
    usable: List[int]
    """The usable annotations of each category, without crowds."""
    images: int
    annotations: int
    largest_side: int
    """The shorter side in pixels of the image whose shorter side is longest."""
    found: Dict[str, Found]
    """By the keys of ``coco_checks.FAULTS``."""


def summarise(path: str, backend_args: Optional[dict], use: str, annotated: bool = True) -> Summary:
    """Reads and checks an annotation file, or returns the result of an earlier check if the file is unchanged.

    Args:
        path (str): Path or URL.
        backend_args (dict, optional): Storage of the file, as for mmengine's ``fileio``.
        use (str): What the file is read for: a key of ``coco_checks.USES``.
        annotated (bool): Whether the file must have annotations.

    Raises:
        FishNetError: If the file cannot be read, or its categories are wrong.
    """
    if not os.path.isfile(path):
        return _check(path, backend_args, use, annotated)
    stat = os.stat(path)
    key = [VERSION, os.path.abspath(path), stat.st_size, stat.st_mtime_ns, use, annotated]
    cache = cache_folder() / 'annotations' / f'{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]}.json'
    summary = _load(cache)
    if summary is None:
        summary = _check(path, backend_args, use, annotated)
        _save(cache, summary)
    return summary


def _check(path: str, backend_args: Optional[dict], use: str, annotated: bool) -> Summary:
    file = read_coco(path, backend_args, annotated)
    names = class_names(file)
    found, usable = check_coco(file, use)
    places = {category['id']: place for place, category in enumerate(file.categories)}
    chosen = [one for one, good in zip(file.annotations, usable.annotations) if good and not one.get('iscrowd')]
    counts = np.bincount([places[one] for one in column(chosen, 'category_id')], minlength=len(names))
    images = [image for image, good in zip(file.images, usable.images) if good]
    largest = max((min(image['height'], image['width']) for image in images), default=0)
    return Summary(names, counts.tolist(), len(file.images), len(file.annotations), int(largest), found)


def _load(cache: Path) -> Optional[Summary]:
    try:
        content = json.loads(cache.read_text())
        return Summary(**dict(content, found={kind: Found(*found) for kind, found in content['found'].items()}))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # missing, or damaged
        return None


def _save(cache: Path, summary: Summary) -> None:
    """Saves a summary, if possible; another process sees the complete file or none."""
    scratch = cache.with_name(f'.{uuid.uuid4().hex}')
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps(summary._asdict()))
        scratch.replace(cache)
    except OSError:  # a read-only or full disk: the next start checks again
        scratch.unlink(missing_ok=True)
