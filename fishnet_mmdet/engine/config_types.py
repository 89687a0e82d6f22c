"""The classes that a config names: found in OpenMMLab's registries, and the arguments that they take."""

import difflib
import inspect
import typing
from functools import lru_cache
from importlib import import_module
from typing import Any, Dict, FrozenSet, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry

#: The scalar types that a value is compared with. An int is a float, and a bool is neither.
SCALARS = {bool: (bool,), int: (int,), float: (int, float), str: (str,)}


@lru_cache(None)
def registered() -> Dict[str, Tuple[type, ...]]:
    """All registered classes and functions by their name without scope, in the registries of every scope."""
    roots = [one for one in vars(mmengine_registry).values() if isinstance(one, Registry)]
    registries = [registry for root in roots for registry in _with_children(root)]
    # All imports come first: a module can register types in the registry of another scope.
    for registry in registries:
        registry.import_from_location()
    found: Dict[str, tuple] = {}
    for registry in registries:
        for name, kind in registry.module_dict.items():
            found[name] = (*found.get(name, ()), kind)
    return found


def _with_children(registry: Registry) -> Iterator[Registry]:
    yield registry
    for child in registry.children.values():
        yield from _with_children(child)


def find_types(module: Mapping) -> Tuple[type, ...]:
    """The classes that ``type`` of a module can mean: none, or one of each registry that has the name.

    ``type`` is a name, with or without a scope ('mmdet.FPN'), a path for import ('torch.nn.ReLU'), or the class itself.
    """
    kind = module['type']
    if not isinstance(kind, str):
        return (kind,) if callable(kind) else ()
    scope, _, name = kind.rpartition('.')
    if '.' in scope:
        try:
            return (getattr(import_module(scope), name),)
        except (ImportError, AttributeError):
            return ()
    return registered().get(name, registered().get(kind, ()))


class Arguments(NamedTuple):
    """The arguments of a class or function."""

    named: Dict[str, inspect.Parameter]
    #: Whether it takes others too.
    takes_any: bool

    def lacks(self, name: str) -> bool:
        """Whether a name cannot be meant as an argument: it is none, or it is a misspelt one where any name is taken."""
        return name not in self.named and (not self.takes_any or bool(nearest(name, self.named, cutoff=0.85)))


def arguments_of(kinds: Iterable[Any]) -> Arguments:
    """The arguments of all classes and functions of a name; those of base classes too, where one takes ``**kwargs``."""
    found = [_arguments_of(kind) for kind in kinds]
    return Arguments({name: one for each in found for name, one in each.named.items()}, any(one.takes_any for one in found))


def _arguments_of(kind: Any) -> Arguments:
    is_class = inspect.isclass(kind)
    # Of all base classes, since one with several of them can pass arguments on to any.
    functions = [vars(one)['__init__'] for one in inspect.getmro(kind)[:-1] if '__init__' in vars(one)] if is_class else [kind]
    named: Dict[str, inspect.Parameter] = {}
    for number, function in enumerate(functions):
        try:
            parameters = list(inspect.signature(function).parameters.values())[is_class:]
        except (TypeError, ValueError):  # a function in C
            return Arguments(named, True)
        named = {**{one.name: one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}, **named}
        if number == 0 and not any(one.kind is one.VAR_KEYWORD for one in parameters):
            return Arguments(named, False)
    return Arguments(named, True)


def scalars_of(annotation: Any) -> Optional[FrozenSet[type]]:
    """The scalar types that an annotation allows, None aside; None if it allows other types, or is missing.

    ``Optional[int]`` is {int}, ``Union[bool, str]`` is {bool, str}, ``List[int]`` is None.
    """
    if isinstance(annotation, str):
        annotation = {kind.__name__: kind for kind in SCALARS}.get(annotation)
    options = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Union else (annotation,)
    options = frozenset(options) - {type(None)}
    return options if options and options <= set(SCALARS) else None


def is_scalar(value: Any, kinds: Iterable[type]) -> bool:
    """Whether a value has one of some scalar types."""
    return type(value) in {allowed for kind in kinds for allowed in SCALARS[kind]}


def nearest(name: str, names: Iterable[str], count: int = 1, cutoff: float = 0.6) -> List[str]:
    """The names that resemble a misspelt one, at most ``count``."""
    return difflib.get_close_matches(name, list(names), count, cutoff)
