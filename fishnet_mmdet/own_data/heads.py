"""The number of classes and of detections in the model of a config."""

import inspect
import math
from typing import Iterator, List, Mapping, MutableMapping, Optional

from mmdet.registry import MODELS

from ..engine.config_tree import Path, dotted, walk

#: Keys of a model's config whose parts do not know the classes: an RPN tells objects from background.
WITHOUT_CLASSES = ('rpn_head', 'backbone', 'data_preprocessor', 'language_model')
#: Names of the settings for the largest number of detections in an image.
DETECTIONS = ('max_per_img', 'max_per_image')
QUERIES = ('num_queries', 'num_proposals')


def set_num_classes(model: MutableMapping, number: int) -> None:
    """Sets the number of classes in every head of a detector's config and in losses that have it; an RPN keeps its 1.

    Args:
        model (MutableMapping): The config's ``model``; changed in place.
        number (int): The number of classes.
    """
    modules = [(path, module) for path, module in walk(model) if isinstance(module, MutableMapping)]
    old = {module.get(key) for _, module in modules for key in ('num_classes', 'num_things_classes')}
    for path, module in modules:
        if set(WITHOUT_CLASSES) & set(path):
            continue
        if 'num_things_classes' in module:
            module['num_things_classes'] = number
        elif 'num_classes' in module or _is_head(path) and _takes_num_classes(module):
            module['num_classes'] = number
        weights = module.get('class_weight')
        if isinstance(weights, (list, tuple)) and len(weights) > 1:
            # One weight for each class and, if there is one more, for the background.
            background = [] if len(weights) in old else [weights[-1]]
            module['class_weight'] = [weights[0]] * number + background


def allow_detections(model: MutableMapping, objects: int) -> Iterator[str]:
    """Raises the number of detections in an image where images have more objects; yields notes.

    Args:
        model (MutableMapping): The config's ``model``; changed in place.
        objects (int): The largest number of objects in an image.
    """
    queries = min((value for _, value in _settings(model, QUERIES)), default=None)
    if queries is not None and queries < objects:
        path, _ = next(_settings(model, QUERIES))
        yield (
            f'an image has {objects} objects, and the model can find {queries}: raise model.{dotted(path)} by --cfg-options '
            '(weights of a whole detector no longer fit then)'
        )
    for path, value in list(_settings(model.get('test_cfg'), DETECTIONS)):
        if 'rpn' in path or not 0 < value < objects:
            continue
        # A quarter more than the objects, since some detections are wrong.
        number = math.ceil(objects * 1.25 / 100) * 100
        number = number if queries is None else min(number, queries)
        if number > value:
            _owner(model['test_cfg'], path)[path[-1]] = number
            yield f'model.test_cfg.{dotted(path)} is {number}, not {value}: an image has {objects} objects'


def _settings(value: Optional[Mapping], names) -> Iterator[tuple]:
    for path, found in walk(value):
        if path and path[-1] in names and isinstance(found, int):
            yield path, found


def _owner(value: MutableMapping, path: Path) -> MutableMapping:
    for key in path[:-1]:
        value = value[key]
    return value


def _is_head(path: Path) -> bool:
    names: List[str] = [key for key in path if isinstance(key, str)]
    return bool(names) and names[-1].endswith('head')


def _takes_num_classes(module: Mapping) -> bool:
    """Whether the class of a module has a number of classes, which this config leaves at its default."""
    kind = module.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    for cls in getattr(kind, '__mro__', ()):
        if '__init__' in vars(cls):
            parameters = inspect.signature(cls.__init__).parameters
            if 'num_classes' in parameters:
                return True
            # A class that passes its keywords on takes what its base class takes.
            if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters.values()):
                return False
    return False
