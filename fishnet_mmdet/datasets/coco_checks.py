"""Faults in the entries of an annotation file in COCO's format, and what training and testing do about each."""

from typing import Dict, FrozenSet, List, NamedTuple, Optional, Sequence

import numpy as np

from ..errors import FishNetError
from .coco_file import CocoFile, short
from .coco_masks import mask_faults
from .columns import column, numbers, rows, whole_numbers
from .reading import MOST_PIXELS

#: What is done about a fault. KEEP: the entry is used, and the log counts it. FINE: the fault does not matter there.
SKIP, KEEP, ERROR, FINE = 'skip', 'keep', 'error', 'fine'
IMAGES, ANNOTATIONS = 'images', 'annotations'
EXAMPLES = 3
#: Remedies that several faults have.
COMPLETE = 'complete or remove these entries'
WRITE_BOX = 'write bbox as [x, y, width, height]'
CORRECT_BOX = 'correct the coordinates, or the size of the image'
POLYGONS = 'write [[x1, y1, x2, y2, x3, y3, ...], ...]'
RLE = 'write size as [height, width] of the image, and counts of as many pixels'
MMDET = True


class Fault(NamedTuple):
    """One row of `FAULTS`."""

    where: str
    """The list that has the entry: IMAGES or ANNOTATIONS."""
    text: str
    """What follows the number of entries."""
    shows: str
    """The key whose value an example shows."""
    training: str
    """SKIP, KEEP, ERROR or FINE."""
    testing: str
    """KEEP or ERROR: a test on a part of the truth would be wrong."""
    remedy: str
    by_mmdet: bool = False
    """Whether mmdet itself skips such entries in training."""


#: Each entry counts for the first fault that it has.
FAULTS: Dict[str, Fault] = {
    kind: Fault(*row)
    for kind, *row in (
        ('image_text_id', IMAGES, 'have a text as id', 'id', ERROR, ERROR, 'write ids as numbers'),
        ('image_entry', IMAGES, 'lack a file_name, or a whole number as id', 'file_name', SKIP, ERROR, COMPLETE),
        ('image_size', IMAGES, 'have no legal height and width', 'width', SKIP, ERROR, 'write the size of the image file'),
        ('image_double', IMAGES, 'share an id with another image', 'id', ERROR, ERROR, 'give every image an id of its own'),
        ('text_id', ANNOTATIONS, 'have a text as id, image_id or category_id', 'id', ERROR, ERROR, 'write ids as numbers'),
        ('keys', ANNOTATIONS, 'lack a whole number as image_id or category_id', 'image_id', SKIP, ERROR, COMPLETE),
        ('no_id', ANNOTATIONS, 'lack a whole number as id', 'id', SKIP, ERROR, 'number all annotations from 1'),
        ('double', ANNOTATIONS, 'share an id with another annotation', 'id', ERROR, ERROR, 'number them anew'),
        ('no_image', ANNOTATIONS, 'belong to no image of the file', 'image_id', SKIP, KEEP, 'add the images', MMDET),
        ('no_category', ANNOTATIONS, 'belong to no category of the file', 'category_id', SKIP, KEEP, 'add them', MMDET),
        ('box_broken', ANNOTATIONS, 'have no bbox of four finite numbers', 'bbox', SKIP, ERROR, WRITE_BOX),
        ('area_broken', ANNOTATIONS, 'have no finite number as area', 'area', SKIP, ERROR, 'write the area in pixels'),
        ('box_negative', ANNOTATIONS, 'have a box of negative width or height', 'bbox', SKIP, ERROR, WRITE_BOX, MMDET),
        # COCO's evaluation counts them, so its results on COCO's own files stay comparable.
        ('box_empty', ANNOTATIONS, 'have a box below 1 pixel or an area of 0', 'bbox', SKIP, KEEP, 'correct them', MMDET),
        ('box_outside', ANNOTATIONS, 'have a box outside the image', 'bbox', SKIP, ERROR, CORRECT_BOX, MMDET),
        ('crowd_broken', ANNOTATIONS, 'have an iscrowd other than 0 and 1', 'iscrowd', SKIP, ERROR, 'write 0 or 1'),
        ('crowd_missing', ANNOTATIONS, 'lack iscrowd', 'iscrowd', FINE, ERROR, 'write "iscrowd": 0'),
        ('mask_missing', ANNOTATIONS, 'have no mask of three points or more', 'segmentation', SKIP, ERROR, 'add the masks'),
        ('mask_broken', ANNOTATIONS, 'have a mask that is neither polygons nor RLE', 'segmentation', SKIP, ERROR, POLYGONS),
        ('mask_far', ANNOTATIONS, 'have a mask far outside the image', 'segmentation', SKIP, ERROR, CORRECT_BOX),
        ('rle_size', ANNOTATIONS, 'have an RLE mask of another size than the image', 'segmentation', SKIP, ERROR, RLE),
        ('rle_counts', ANNOTATIONS, 'have RLE counts that do not fill the size', 'segmentation', SKIP, ERROR, RLE),
        # mmdet leaves out such a polygon, and keeps the others of the mask.
        ('mask_polygon', ANNOTATIONS, 'have a polygon without three whole points', 'segmentation', KEEP, ERROR, POLYGONS),
        # COCO's evaluation takes 0 for "not found".
        ('zero_id', ANNOTATIONS, 'have the id 0, which never counts as found', 'id', FINE, KEEP, 'number from 1'),
    )
}


#: The faults that matter for a use of the file. Crops of objects need no more than boxes and classes.
BOXES, MASKS, CROPS = 'boxes', 'masks', 'crops'
_OF_MASKS = {kind for kind, fault in FAULTS.items() if fault.shows == 'segmentation'}
USES: Dict[str, FrozenSet[str]] = {
    MASKS: frozenset(FAULTS),
    BOXES: frozenset(FAULTS) - _OF_MASKS,
    CROPS: frozenset(FAULTS) - _OF_MASKS - {'image_size', 'no_id', 'double', 'area_broken', 'crowd_missing', 'zero_id'},
}


class Found(NamedTuple):
    """The entries that have one fault."""

    count: int
    examples: List[str]


class Usable(NamedTuple):
    """The entries that training can use."""

    images: np.ndarray
    """(number of images,) bool."""
    annotations: np.ndarray
    """(number of annotations,) bool."""


class Checked(NamedTuple):
    """The result of a check."""

    found: Dict[str, Found]
    """By the keys of `FAULTS`; only those that were found."""
    usable: Usable


def check_coco(file: CocoFile, use: str) -> Checked:
    """Looks for `FAULTS` in an annotation file.

    Args:
        file (CocoFile): The file; its categories have ids and names (:func:`coco_file.class_names` checks them).
        use (str): What the file is read for: a key of `USES`.
    """
    marks = {kind: mark for kind, mark in _image_faults(file).items() if kind in USES[use]}
    images = ~np.logical_or.reduce([*marks.values()])
    heights, widths = _sizes(file, images)
    marks.update(_annotation_faults(file, images, heights, widths))
    if use == MASKS:
        marks.update(mask_faults(column(file.annotations, 'segmentation'), heights, widths))
    found = {}
    free = {IMAGES: np.ones(len(file.images), bool), ANNOTATIONS: np.ones(len(file.annotations), bool)}
    for kind, fault in FAULTS.items():
        if kind not in USES[use]:
            continue
        marks[kind] &= free[fault.where]
        if fault.training in (SKIP, ERROR):
            free[fault.where] &= ~marks[kind]
        if count := int(marks[kind].sum()):
            entries = getattr(file, fault.where)
            first = np.flatnonzero(marks[kind])[:EXAMPLES]
            found[kind] = Found(count, [_describe(fault, entries[at], at) for at in first.tolist()])
    return Checked(found, Usable(images, free[ANNOTATIONS]))


def judge(found: Dict[str, Found], path: str, totals: Dict[str, int], training: bool) -> Optional[str]:
    """What is done about the faults of a file.

    Args:
        found (dict[str, Found]): The faults.
        path (str): The file.
        totals (dict[str, int]): Numbers of ``images`` and ``annotations``.
        training (bool): Whether the file is trained on, or tested with.

    Returns:
        str | None: A block for the log: counts and examples; None without faults.

    Raises:
        FishNetError: If a fault is an error.
    """
    lines: Dict[str, List[str]] = {ERROR: [], SKIP: [], KEEP: [], FINE: []}
    for kind, (count, examples) in found.items():
        fault = FAULTS[kind]
        line = f'    {count:,} of {totals[fault.where]:,} {fault.where} {fault.text}: {", ".join(examples)}; {fault.remedy}'
        lines[fault.training if training else fault.testing].append(line)
    if lines[ERROR]:
        problem = 'training cannot use' if training else 'results would be wrong with'
        raise FishNetError('\n'.join([f'{problem} the faulty entries of {path}: correct the file', *lines[ERROR]]))
    actions = {SKIP: 'training skips these entries', KEEP: 'these entries are used as they are'}
    blocks = ['\n'.join([f'{path}: {what}', *lines[action]]) for action, what in actions.items() if lines[action]]
    return '\n'.join(blocks) or None


def _image_faults(file: CocoFile) -> Dict[str, np.ndarray]:
    ids, whole = whole_numbers(column(file.images, 'id'))
    names = column(file.images, 'file_name')
    (heights, good_heights), (widths, good_widths) = (whole_numbers(column(file.images, key)) for key in ('height', 'width'))
    sides = np.minimum(heights, MOST_PIXELS + 1) * np.minimum(widths, MOST_PIXELS + 1)
    return dict(
        image_text_id=_are_texts(column(file.images, 'id')),
        image_entry=~whole | ~np.array([type(name) is str and bool(name) for name in names], bool),
        image_size=~good_heights | ~good_widths | (heights < 1) | (widths < 1) | (sides > MOST_PIXELS),
        image_double=_later_doubles(ids, whole),
    )


def _annotation_faults(file: CocoFile, images: np.ndarray, heights: np.ndarray, widths: np.ndarray) -> Dict[str, np.ndarray]:
    entries = file.annotations
    columns = {key: column(entries, key) for key in ('id', 'image_id', 'category_id')}
    (ids, good_ids), (image_ids, good_images), (category_ids, good_categories) = map(whole_numbers, columns.values())
    boxes = rows(column(entries, 'bbox'), 4)
    areas = numbers(column(entries, 'area'))
    x, y, w, h = boxes.T
    crowds = column(entries, 'iscrowd')
    with np.errstate(invalid='ignore'):  # comparisons with NaN are False, and box_broken has them
        return dict(
            text_id=np.logical_or.reduce([_are_texts(values) for values in columns.values()]),
            keys=~(good_images & good_categories),
            no_id=~good_ids,
            double=_later_doubles(ids, good_ids),
            no_image=~np.isin(image_ids, _known(column(file.images, 'id'))[images]),
            no_category=~np.isin(category_ids, _known(column(file.categories, 'id'))),
            box_broken=~np.isfinite(boxes).all(1),
            area_broken=~np.isfinite(areas),
            box_negative=(w < 0) | (h < 0),
            box_empty=(w < 1) | (h < 1) | (areas <= 0),
            box_outside=((x >= widths) & (widths > 0)) | ((y >= heights) & (heights > 0)) | (x + w <= 0) | (y + h <= 0),
            crowd_broken=np.array([one not in (0, 1, None) for one in crowds], bool),
            crowd_missing=np.array([one is None for one in crowds], bool),
            zero_id=good_ids & (ids == 0),
        )


def _known(values: Sequence) -> np.ndarray:
    return whole_numbers(values)[0]


def _sizes(file: CocoFile, usable: np.ndarray) -> np.ndarray:
    """(2, n) int64: height and width of the image of every annotation; 0 where they are unknown."""
    images = [image for image, good in zip(file.images, usable) if good]
    if not images:
        return np.zeros((2, len(file.annotations)), np.int64)
    ids = _known(column(images, 'id'))
    order = np.argsort(ids)
    wanted = _known(column(file.annotations, 'image_id'))
    at = order[np.searchsorted(ids, wanted, sorter=order).clip(max=len(ids) - 1)]
    sizes = np.array([_known(column(images, key)) for key in ('height', 'width')])
    return np.where(ids[at] == wanted, sizes[:, at], 0)


def _later_doubles(ids: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Which ids an earlier entry has."""
    doubles = whole.copy()
    order = np.flatnonzero(whole)
    doubles[order[np.unique(ids[order], return_index=True)[1]]] = False
    return doubles


def _are_texts(values: Sequence) -> np.ndarray:
    return np.array([type(value) is str for value in values], bool)


def _describe(fault: Fault, entry: dict, at: int) -> str:
    """An entry, by its id or else its place in the list, and the value at fault."""
    name = fault.where[:-1]
    number = f'{name} {short(entry["id"])}' if fault.shows != 'id' and 'id' in entry else f'{name} at position {at}'
    return f'{number} ({fault.shows}: {short(entry[fault.shows]) if fault.shows in entry else "missing"})'
