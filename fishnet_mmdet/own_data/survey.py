"""What was found in a data set: counts, sizes, and what the config does not fit."""

from collections import Counter
from typing import Iterator, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from mmdet.registry import TASK_UTILS
from mmengine.config import Config
from terminaltables import AsciiTable

from ..datasets.enlarge import LONGER, resize_factor
from ..engine.config_tree import dicts_in, dotted, walk
from .classes import Classes
from .parts import Part

#: Areas of COCO's small and medium objects, in pixels.
SMALL, MEDIUM = 32**2, 96**2
#: Classes that the table names; of more, it names those with the most objects.
ROWS = 30
#: Share of objects below the smallest anchor from which on smaller anchors are advised.
MANY = 0.1
#: The detections of an image that COCO's mean AP counts.
COUNTED = 100


class Objects(NamedTuple):
    """The objects of one part, without crowds."""

    image_sizes: np.ndarray  # (images, 2) height and width in pixels
    per_image: np.ndarray  # (images,) number of objects
    image: np.ndarray  # (objects,) index of the image
    sides: np.ndarray  # (objects, 2) width and height of the box in pixels
    areas: np.ndarray  # (objects,) area in pixels, of the mask if the file says so
    names: Counter  # objects of each class

    @classmethod
    def of(cls, part: Part, classes: Classes) -> 'Objects':
        """Counts the objects of a part."""
        names = dict(zip(classes.ids, classes.names))
        numbers = {image['id']: number for number, image in enumerate(part.file.images)}
        objects = [one for one in part.file.annotations if not one.get('iscrowd') and one['category_id'] in names]
        image = np.array([numbers[one['image_id']] for one in objects], int)
        sides = np.array([one['bbox'][2:] for one in objects], float).reshape(-1, 2)
        areas = [one.get('area') or one['bbox'][2] * one['bbox'][3] for one in objects]
        return cls(
            np.array([(one['height'], one['width']) for one in part.file.images], float),
            np.bincount(image, minlength=len(numbers)),
            image,
            sides,
            np.array(areas, float),
            Counter(names[one['category_id']] for one in objects),
        )


def table(objects: Mapping[str, Objects], classes: Classes) -> str:
    """The counts of all parts as a table."""
    parts = list(objects.values())
    count = Counter()
    for part in parts:
        count.update(part.names)
    order = list(classes.names) if len(classes.names) <= ROWS else [name for name, _ in count.most_common(ROWS)]
    ids = dict(zip(classes.names, classes.ids))
    rows = [
        ['', *objects],
        ['images', *(len(part.image_sizes) for part in parts)],
        ['images without objects', *((part.per_image == 0).sum() for part in parts)],
        ['objects', *(len(part.image) for part in parts)],
        ['objects an image, mean (most)', *(f'{part.per_image.mean():.1f} ({part.per_image.max()})' for part in parts)],
        ['small objects (area < 32²)', *(_share(part.areas < SMALL) for part in parts)],
        ['medium objects', *(_share((part.areas >= SMALL) & (part.areas < MEDIUM)) for part in parts)],
        ['large objects (area ≥ 96²)', *(_share(part.areas >= MEDIUM) for part in parts)],
        *([f'class {name} (id {ids[name]})', *(part.names[name] for part in parts)] for name in order),
    ]
    if len(order) < len(classes.names):
        rows.append([f'{len(classes.names) - len(order)} more classes', *('' for _ in parts)])
    return AsciiTable([[str(cell) for cell in row] for row in rows]).table


def remarks(cfg: Config, objects: Mapping[str, Objects], classes: Classes) -> Iterator[str]:
    """What the user should know about the data, in sentences."""
    train = objects['train']
    empty = [name for name in classes.names if not train.names[name]]
    if empty:
        yield f'no training object is of class {", ".join(empty[:10])}{" ..." if len(empty) > 10 else ""}'
    filters = [one['filter_cfg'] for one in dicts_in(cfg.train_dataloader.dataset) if one.get('filter_cfg')]
    for filter_cfg in filters:
        without = int((train.per_image == 0).sum())
        if filter_cfg.get('filter_empty_gt') and without:
            yield f'{without} training images without objects are not used (filter_cfg.filter_empty_gt)'
        small = int((train.image_sizes.min(1) < filter_cfg.get('min_size', 0)).sum())
        if small:
            yield f'{small} training images with a side below {filter_cfg.min_size} pixels are not used (filter_cfg.min_size)'
    counted = int((objects['val'].per_image > COUNTED).sum())
    if counted:
        yield (
            f'{counted} validation images have more than {COUNTED} objects: bbox_mAP and segm_mAP count the {COUNTED} best '
            'detections of an image, as in COCO; the other metrics count 1000'
        )
    yield from _about_anchors(cfg, train)


def _about_anchors(cfg: Config, objects: Objects) -> Iterator[str]:
    """The share of objects below the smallest anchor, and the setting that makes smaller ones."""
    sides = np.sqrt(objects.sides.prod(1)) * _enlargement(cfg, objects.image_sizes)[objects.image]
    for path, generator in _anchor_generators(cfg):
        smallest = _smallest_anchor(generator)
        share = (sides < smallest).mean() if len(sides) else 0
        if share == 0:
            continue
        note = (
            f'{100 * share:.0f} % of the training objects are, at the size that the model sees, smaller than its smallest '
            f'anchor of {smallest:.0f} pixels'
        )
        key, scales = _smaller_scales(generator, sides)
        if share < MANY:
            yield note
        elif scales is None:
            yield f'{note}: larger images help (scale of Resize in the pipelines)'
        else:
            yield f"{note}: --cfg-options {dotted((*path, key))}='{scales}' makes smaller ones"


def _anchor_generators(cfg: Config) -> Iterator[tuple]:
    """The anchor generators whose anchors get objects by their overlap, each with its path."""
    train_cfg = cfg.model.get('train_cfg') or {}
    for path, value in walk(cfg.model, ('model',)):
        if path[-1] == 'anchor_generator' and isinstance(value, Mapping):
            stage = train_cfg.get('rpn') if 'rpn_head' in path else train_cfg
            # A cascade has one for each stage; the anchors are those of the first.
            stage = stage[0] if isinstance(stage, (list, tuple)) else stage or {}
            if (stage.get('assigner') or {}).get('type') == 'MaxIoUAssigner':
                yield path, value


def _smallest_anchor(generator: Mapping) -> float:
    """The square root of the area of the smallest anchor, in pixels."""
    built = TASK_UTILS.build(dict(generator))
    sizes = [base[:, 2:] - base[:, :2] for base in built.base_anchors]
    return min(float(size.prod(1).min()) for size in sizes) ** 0.5


def _smaller_scales(generator: Mapping, sides: np.ndarray) -> Tuple[str, Optional[object]]:
    """The name and value of the setting, halved until few objects are smaller; None if the generator has no scales."""
    for key in ('scales', 'octave_base_scale'):
        scales = generator.get(key)
        while scales is not None:
            scales = [_half(one) for one in scales] if isinstance(scales, Sequence) else _half(scales)
            smallest = _smallest_anchor({**generator, key: scales})
            if (sides < smallest).mean() < MANY or np.min(scales) <= 1:
                return key, scales
    return '', None


def _half(value: float) -> float:
    return int(value / 2) if value % 2 == 0 else value / 2


def _enlargement(cfg: Config, image_sizes: np.ndarray) -> np.ndarray:
    """By how much the test pipeline enlarges each image; (images,)."""
    factors = np.ones(len(image_sizes))
    for step in dicts_in(cfg.get('val_dataloader')):
        scale = step.get('scale')
        if step.get('type') == 'fishnet_mmdet.Enlarge':
            factors *= resize_factor(image_sizes, step['shorter'], step.get('longer', LONGER))
        elif step.get('type') in ('Resize', 'mmdet.Resize') and isinstance(scale, Sequence):
            # As mmcv's imrescale: the longer side within the larger number, the shorter side within the smaller.
            factors *= np.minimum(max(scale) / image_sizes.max(1), min(scale) / image_sizes.min(1))
    return factors


def _share(chosen: np.ndarray) -> str:
    return f'{chosen.sum()} ({100 * chosen.mean():.0f} %)' if len(chosen) else '0'
