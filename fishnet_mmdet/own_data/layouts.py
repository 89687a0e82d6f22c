"""Where the annotations and images are in a folder that a user has: a table of the usual layouts, and the search."""

import os
import re
from pathlib import Path
from typing import Dict, Iterator, List, Optional

from ..datasets.coco_file import CocoFile, read_coco
from ..errors import FishNetError
from .parts import Part

#: The parts of a data set, and the words that name them in files and folders.
PARTS = dict(train=('train', 'training'), val=('val', 'valid', 'validation'), test=('test', 'testing'))
#: First words of COCO's other annotation files, which hold no instances.
OTHER_KINDS = ('captions', 'image', 'panoptic', 'person', 'stuff')
#: The name of each annotation file in an export of Roboflow.
ROBOFLOW = '_annotations.coco.json'
LAYOUTS = """--data takes annotations in COCO's format, in one of these layouts (2017 may be anything, and val may be missing):
    {root}/annotations/instances_train2017.json, instances_val2017.json    COCO
    {root}/train2017/*.jpg, val2017/*.jpg
or
    {root}/train/_annotations.coco.json, train/*.jpg                       Roboflow; valid/ and test/ the same
or
    {root}/ANNOTATIONS.json                                                10 % are set aside for validation
    {root}/*.jpg or images/*.jpg
Other formats: export the data as COCO, or convert it."""


def find_parts(root: Path) -> Dict[str, Part]:
    """Finds the annotations and the images in a folder, and reads the annotations.

    Args:
        root (Path): The folder.

    Returns:
        dict[str, Part]: 'train', and 'val' and 'test' if the folder has them. An annotation file whose name and folder have
        none of the words is 'train'. A test part without objects is left out.

    Raises:
        FishNetError: If the folder has another layout, several files for one part, a file that is not COCO, or images are
            missing.
    """
    if not root.is_dir():
        raise FishNetError(f'--data {root} is not a folder')
    files = _annotation_files(root)
    named: Dict[Optional[str], List[Path]] = {}
    for file in files:
        named.setdefault(_part_of(file, root), []).append(file)
    unnamed = named.pop(None, [])
    if 'train' not in named:
        if named or len(unnamed) != 1:
            raise FishNetError(f'{root} has no layout that --data knows: {_found(root, files)}\n{LAYOUTS.format(root=root)}')
        named = dict(train=unnamed)
    for part, candidates in named.items():
        if len(candidates) > 1:
            names = ', '.join(str(file.relative_to(root)) for file in candidates)
            raise FishNetError(f'{root} has several annotation files for {part}: {names}; move all but one out of the folder')
    parts = {}
    for part in PARTS:
        if part in named:
            file = read_coco(str(named[part][0]), annotated=part != 'test')
            if file.annotations or part != 'test':
                parts[part] = Part(file, _image_folder(root, named[part][0], part, file))
    return parts


def _annotation_files(root: Path) -> List[Path]:
    """The JSON files that may be annotations: those with the usual names if there are any, or else all."""
    files = sorted({file for pattern in ('*.json', '*/*.json') for file in root.glob(pattern) if file.is_file()})
    files = [file for file in files if not any(part.startswith('.') for part in file.relative_to(root).parts)]
    usual = [file for file in files if file.name == ROBOFLOW or 'instances' in _words(file.stem)]
    return usual or [file for file in files if not _words(file.stem) or _words(file.stem)[0] not in OTHER_KINDS]


def _part_of(file: Path, root: Path) -> Optional[str]:
    """The part that the name of a file says, or else the name of its folder."""
    for name in (file.stem, *reversed(file.parent.relative_to(root).parts)):
        found = [part for part, words in PARTS.items() if set(words) & set(_words(name))]
        if len(found) == 1:
            return found[0]
    return None


def _words(name: str) -> List[str]:
    return re.findall('[a-z]+', name.lower())


def _image_folder(root: Path, ann_file: Path, part: str, file: CocoFile) -> Path:
    """The folder of the images of an annotation file.

    Raises:
        FishNetError: If the file lists no images, or some are missing.
    """
    names = [str(image.get('file_name')) for image in file.images]
    if not names:
        raise FishNetError(f'{ann_file} lists no images')
    folders = list(dict.fromkeys(_candidates(root, ann_file, part)))
    for folder in folders:
        if (folder / names[0]).is_file():
            missing = [name for name in names if not os.path.isfile(folder / name)]
            if not missing:
                return folder
            raise FishNetError(
                f'{len(missing)} of the {len(names)} images of {ann_file} are missing in {folder}: {", ".join(missing[:3])}'
                f'{" ..." if len(missing) > 3 else ""}; copy them there, or remove their entries'
            )
    looked = ', '.join(map(str, folders[:5])) + ' ...' * (len(folders) > 5)
    raise FishNetError(f'{names[0]}, the first image of {ann_file}, is in none of {looked}\n{LAYOUTS.format(root=root)}')


def _candidates(root: Path, ann_file: Path, part: str) -> Iterator[Path]:
    """Folders in which the images of an annotation file may be, the most likely first; only those that exist."""
    # instances_train2017.json has its images in train2017/.
    name = re.sub('^instances_', '', ann_file.stem)
    for above in (root, root / 'images'):
        yield from filter(Path.is_dir, (above / one for one in (name, *PARTS[part])))
        yield from sorted(one for one in above.glob('*') if one.is_dir() and _part_of(one / 'x', root) == part)
    beside = ann_file.parent
    yield from filter(Path.is_dir, (beside, beside / 'images', root / 'images', root))
    # Tools have names of their own for the only folder, such as FiftyOne's data/.
    yield from sorted(one for one in root.iterdir() if one.is_dir())


def _found(root: Path, files: List[Path]) -> str:
    """What a folder holds, for the message that it has another layout."""
    if files:
        return f'its JSON files are {", ".join(str(file.relative_to(root)) for file in files[:10])}'
    names = sorted(one.name + '/' * one.is_dir() for one in root.iterdir())
    return f'it holds {", ".join(names[:10])}{" ..." if len(names) > 10 else ""} and no JSON file' if names else 'it is empty'
