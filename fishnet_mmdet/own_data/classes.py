"""The classes of a data set, from the categories of its annotation files."""

from typing import Dict, Iterator, List, NamedTuple, Tuple

from ..datasets.coco_file import CocoFile, class_names
from ..errors import FishNetError
from .parts import Part


class Classes(NamedTuple):
    """The classes in the order of the labels, which is that of the training part's annotation file."""

    names: Tuple[str, ...]
    ids: Tuple[int, ...]
    """Their ids in the annotation file."""


def leave_out_groups(parts: Dict[str, Part]) -> Iterator[str]:
    """Leaves out categories that are no classes: those without objects that are the ``supercategory`` of another one.

    An export of Roboflow lists the name of the project so.

    Args:
        parts (dict[str, Part]): The parts; changed in place. A file with a group counts as changed only if a class has the
            same name: mmdet finds categories by name, and ignores those that are not in ``metainfo``.

    Yields:
        str: A note for each group.
    """
    categories = {_key(one): one for part in parts.values() for one in part.file.categories}
    used = {key for part in parts.values() for key in _used(part.file)}
    groups = [
        key
        for key in categories
        if key not in used and any(one.get('supercategory') == key[1] for other, one in categories.items() if other != key)
    ]
    for name, part in parts.items():
        kept = [one for one in part.file.categories if _key(one) not in groups]
        shared = {one.get('name') for one in kept} & {group for _, group in groups}
        parts[name] = part._replace(file=part.file._replace(categories=kept), changed=part.changed or bool(shared))
    for number, group in groups:
        yield f'the category {group!r} (id {number}) is no class: it has no objects, and is the supercategory of others'


def unify_classes(parts: Dict[str, Part]) -> Tuple[Classes, List[str]]:
    """Lets all parts number their classes as the training part does.

    mmdet numbers the classes of each file in the order of its categories, whatever order ``metainfo`` has.

    Args:
        parts (dict[str, Part]): The parts; changed in place.

    Returns:
        tuple: The classes, and a note for each part that is changed.

    Raises:
        FishNetError: If categories are damaged, or a part has objects of a class that the training part does not have.
    """
    categories = parts['train'].file.categories
    classes = Classes(tuple(class_names(parts['train'].file)), tuple(one['id'] for one in categories))
    notes = []
    for name, part in parts.items():
        if list(map(_key, part.file.categories)) != list(map(_key, categories)):
            parts[name] = part._replace(file=_numbered_as(categories, part.file), changed=True)
            notes.append(f'{part.file.path} numbers its classes in another way than the training part: corrected in a copy')
    return classes, notes


def _used(file: CocoFile) -> Iterator[Tuple[int, str]]:
    ids = {one.get('category_id') for one in file.annotations}
    return (_key(one) for one in file.categories if one.get('id') in ids)


def _key(category: dict) -> Tuple[int, str]:
    return category.get('id'), category.get('name')


def _numbered_as(categories: List[dict], file: CocoFile) -> CocoFile:
    """A file whose annotations have the ids of other categories, by name.

    Raises:
        FishNetError: If the file has objects of a class that the categories lack.
    """
    names = dict(zip((one['id'] for one in file.categories), class_names(file)))
    ids = {one['name']: one['id'] for one in categories}
    unknown = sorted({names[one['category_id']] for one in file.annotations} - set(ids))
    if unknown:
        raise FishNetError(
            f'{file.path} has objects of {", ".join(unknown)}, which the training annotations do not list as a category: '
            f'they list {", ".join(ids)}; correct one of the two files'
        )
    annotations = [dict(one, category_id=ids[names[one['category_id']]]) for one in file.annotations]
    return file._replace(annotations=annotations, categories=categories)
