"""What a model file says of itself: its task, its classes, and how an image becomes its input."""

import json
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from ..errors import FishNetError
from .preprocessing import Steps, read_steps
from .results import TASKS
from .scan import read_properties

#: The layout of the metadata that this release reads.
LAYOUT = 1
#: The property that all our files have.
MARK = 'fishnet_mmdet'


class Metadata(NamedTuple):
    """What a model file says of itself.

    Attributes:
        task (str): A key of ``TASKS``.
        classes (tuple[str, ...]): Names of the classes.
        steps (Steps): From an image to the input.
        score_threshold (float): The graph has dropped objects with lower scores.
        mask_threshold (float): From this probability on, a pixel belongs to a mask.
        category_ids (list[int], optional): The number of each class in the annotations of its training.
        thing_classes (list[str], optional): Names of the classes whose segments are objects, of a panoptic model.
        properties (dict): All of the metadata, texts by their names.
    """

    task: str
    classes: Tuple[str, ...]
    steps: Steps
    score_threshold: float
    mask_threshold: float
    category_ids: Optional[List[int]]
    thing_classes: Optional[List[str]]
    properties: Dict[str, str]


def read_metadata(file: Path) -> Metadata:
    """Reads the metadata of a model file.

    Raises:
        FishNetError: If it is not a model file of ours, of a newer layout, or damaged.
    """
    properties = read_properties(file)
    if MARK not in properties:
        raise FishNetError(
            f'{file} was not made by fishnet_mmdet: it does not say how images become its input. Make a model file with '
            'python -m fishnet_mmdet export_onnx CONFIG CHECKPOINT -o FILE.onnx'
        )
    layout = properties[MARK]
    if layout.isdecimal() and int(layout) > LAYOUT:
        raise FishNetError(
            f'{file} has the layout {layout}, and this fishnet_mmdet reads up to {LAYOUT}: pip install -U fishnet_mmdet'
        )
    try:
        return _metadata(properties)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FishNetError(f'the metadata of {file} is damaged ({type(error).__name__}: {error}): export it again') from error


def _metadata(properties: Dict[str, str]) -> Metadata:
    """The metadata that properties hold. Whatever they hold, it fails with an error of Python or has the right types."""
    if int(properties[MARK]) != LAYOUT:
        raise ValueError(f'layout {properties[MARK]!r}')
    if properties['task'] not in TASKS:
        raise ValueError(f'task {properties["task"]!r}')
    ids, things = (json.loads(properties.get(name, 'null')) for name in ('category_ids', 'thing_classes'))
    metadata = Metadata(
        task=properties['task'],
        classes=tuple(map(str, json.loads(properties['classes']))),
        steps=read_steps(json.loads(properties['preprocessing'])),
        score_threshold=float(properties.get('score_threshold', 0)),
        mask_threshold=float(properties.get('mask_threshold', 0.5)),
        category_ids=None if ids is None else [int(one) for one in ids],
        thing_classes=None if things is None else [str(one) for one in things],
        properties=properties,
    )
    if ids is not None and len(ids) != len(metadata.classes):
        raise ValueError(f'{len(ids)} category_ids of {len(metadata.classes)} classes')
    return metadata
