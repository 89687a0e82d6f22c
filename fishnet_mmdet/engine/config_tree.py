"""A config as a tree of dicts and lists: walking through it, and naming a place in it."""

from typing import Any, Iterator, Mapping, Optional, Tuple, Union

#: Where something stands in a config: the keys, and the indices of lists, that lead there.
Path = Tuple[Union[str, int], ...]


def walk(value: Any, path: Path = ()) -> Iterator[Tuple[Path, Any]]:
    """Yields a value and everything in it, each with its path."""
    yield path, value
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        items = ()
    for key, item in items:
        yield from walk(item, (*path, key))


def at(cfg: Any, path: Path) -> Any:
    """The value at a path."""
    for key in path:
        cfg = cfg[key]
    return cfg


def dotted(path: Path) -> str:
    """A path as ``--cfg-options`` takes it: 'model.neck.0.in_channels'."""
    return '.'.join(map(str, path))


def type_of(module: Mapping) -> Tuple[str, str]:
    """The name of a module's class, and the package: ('ResNet', 'mmdet').

    ``type`` is a name, with or without a package ('mmpretrain.ResNet'), or the class itself, as in new-style configs.
    """
    kind = module['type']
    *package, name = (kind if isinstance(kind, str) else f'{kind.__module__}.{kind.__name__}').split('.')
    return name, package[0] if package else 'mmdet'


def dicts_in(value: Any) -> Iterator[dict]:
    """All dicts in a part of a config, the outer ones first."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from dicts_in(item)


def datasets_in(dataset: Optional[dict]) -> Iterator[dict]:
    """The data sets inside the wrappers (RepeatDataset, ConcatDataset, MultiImageMixDataset ...)."""
    if not dataset:
        return
    inner = dataset.get('datasets') or [dataset.get('dataset')]
    if inner[0] is None:
        yield dataset
    for one in inner:
        yield from datasets_in(one)
