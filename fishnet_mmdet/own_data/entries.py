"""The entries of annotation files: values that exporters leave out, and entries that cannot be used."""

from collections import Counter
from typing import Dict, Iterator

from ..datasets.coco_checks import BOXES, MASKS, check_coco, judge
from .parts import Part


def complete(parts: Dict[str, Part]) -> Iterator[str]:
    """Adds what the evaluation needs and follows from the rest: ``iscrowd``, ``area`` (of the box), and an id each.

    Labelling tools leave out ``iscrowd`` and ``area``. Roboflow numbers from 0, and COCO's evaluation takes an object with
    the id 0 for one that is never found. Merged files have ids twice.

    Args:
        parts (dict[str, Part]): The parts; changed in place.

    Yields:
        str: A note for each part that is changed.
    """
    for name, part in parts.items():
        annotations, done = part.file.annotations, []
        for key, value in (('iscrowd', lambda one: 0), ('area', _area_of_box)):
            if any(key not in one for one in annotations):
                annotations = [one if key in one else {**one, key: value(one)} for one in annotations]
                done.append(f'{key} added where it was missing')
        ids = Counter(str(one.get('id')) for one in annotations)
        evaluated = name != 'train' or 'val' not in parts
        if 'None' in ids or '0' in ids and evaluated or max(ids.values(), default=1) > 1:
            annotations = [dict(one, id=at) for at, one in enumerate(annotations, start=1)]
            done.append('annotations numbered from 1')
        if done:
            parts[name] = part._replace(file=part.file._replace(annotations=annotations), changed=True)
            yield f'{part.file.path}: {", ".join(done)}, in a copy'


def check_entries(parts: Dict[str, Part], masks: bool) -> Iterator[str]:
    """Checks the entries, and leaves out those that cannot be used. The file itself is not changed by that.

    Args:
        parts (dict[str, Part]): The parts; changed in place.
        masks (bool): Whether masks are read.

    Yields:
        str: A note for each part that is read from a copy, which lacks such entries. For other files, the checks before the
        run say what training skips.

    Raises:
        FishNetError: If a fault would make training or results wrong; the training part is validated on too if it is the
            only one.
    """
    for name, part in parts.items():
        found, usable = check_coco(part.file, MASKS if masks else BOXES)
        totals = dict(images=len(part.file.images), annotations=len(part.file.annotations))
        for training in (True, False) if 'val' not in parts else (name == 'train',):
            judge(found, part.file.path, totals, training)
        images = [one for one, good in zip(part.file.images, usable.images) if good]
        annotations = [one for one, good in zip(part.file.annotations, usable.annotations) if good]
        left_out = len(part.file.annotations) - len(annotations)
        if left_out and (part.changed or 'val' not in parts):
            yield f'{part.file.path}: {left_out} annotations that cannot be used are left out, in a copy'
        parts[name] = part._replace(file=part.file._replace(images=images, annotations=annotations))


def _area_of_box(annotation: dict) -> float:
    box = annotation.get('bbox')
    # A box that is no box is a fault of its own, which is reported as such.
    return box[2] * box[3] if isinstance(box, list) and len(box) == 4 and _are_numbers(box) else 0


def _are_numbers(values: list) -> bool:
    return all(isinstance(value, (int, float)) for value in values)
