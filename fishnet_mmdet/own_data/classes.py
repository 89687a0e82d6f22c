"""The classes of a data set, from the categories of its annotation files."""

from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

from ..datasets.coco_file import CocoFile, class_names
from ..errors import FishNetError
from .layouts import Part
from .splitting import write


class Classes(NamedTuple):
    """The classes in the order of the labels, which is that of the training part's annotation file."""

    names: Tuple[str, ...]
    ids: Tuple[int, ...]
    """Their ids in the annotation file."""


def unify_classes(parts: Dict[str, Part], folder: Path) -> Tuple[Classes, List[str]]:
    """Finds the classes, and lets all parts number them as the training part does.

    mmdet numbers the classes of each file in the order of its categories, whatever order ``metainfo`` has. A file with
    another order, other ids or fewer classes is therefore written again to ``folder``. Groups are no classes: an export of
    Roboflow lists the project's name as a category without objects, and names it as the ``supercategory`` of all others.

    Args:
        parts (dict[str, Part]): The parts; changed in place where a file is written.
        folder (Path): The folder for written files.

    Returns:
        tuple: The classes, and notes for the user.

    Raises:
        FishNetError: If categories are damaged, or a part has objects of a class that the training part does not have.
    """
    groups = _groups(parts)
    kept = [one for one in parts['train'].file.categories if _key(one) not in groups]
    classes = Classes(tuple(class_names(parts['train'].file._replace(categories=kept))), tuple(one['id'] for one in kept))
    notes = [
        f'the category {name!r} (id {number}) is no class: it has no objects, and groups others' for number, name in groups
    ]
    for name, part in parts.items():
        own = [one for one in part.file.categories if _key(one) not in groups]
        shared = {one['name'] for one in own} & {group for _, group in groups}
        if [_key(one) for one in own] == [_key(one) for one in kept] and not shared:
            continue
        path = folder / f'{name}.json'
        parts[name] = part._replace(file=write(_numbered_as(kept, part.file._replace(categories=own), path)))
        notes.append(f'{part.file.path} numbers its classes in another way: {path} is a copy with the right numbers')
    return classes, notes


def _groups(parts: Dict[str, Part]) -> List[Tuple[int, str]]:
    """The categories without objects that are the supercategory of another one, as (id, name)."""
    categories = {_key(one): one for part in parts.values() for one in part.file.categories}
    used = {key for part in parts.values() for key in _used(part.file)}
    above = {(one.get('supercategory'), key) for key, one in categories.items()}
    return [key for key in categories if key not in used and any(name == key[1] and other != key for name, other in above)]


def _used(file: CocoFile) -> Iterator[Tuple[int, str]]:
    ids = {one.get('category_id') for one in file.annotations}
    return (_key(one) for one in file.categories if one.get('id') in ids)


def _key(category: dict) -> Tuple[int, str]:
    return category.get('id'), category.get('name')


def _numbered_as(categories: List[dict], file: CocoFile, path: Path) -> CocoFile:
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
    return CocoFile(str(path), file.images, annotations, categories)
