"""A module of Python functions in the place of mmcv's compiled one."""

import functools
import importlib
import importlib.util
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Callable, Dict

from ..errors import FishNetError

NAME = 'mmcv._ext'


class Operators(ModuleType):
    """What mmcv imports as its compiled module. It has every operator: one that is not there fails when it is called.

    Args:
        operators (dict[str, Callable]): Function by its name.
    """

    def __init__(self, operators: Dict[str, Callable]):
        super().__init__(NAME, 'Operators of fishnet_mmdet.ops.')
        self.__spec__ = ModuleSpec(NAME, loader=None, origin=__name__)
        self.__dict__.update({name: untraced(function) for name, function in operators.items()})

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(f'module {NAME} has no attribute {name}')

        def missing(*args, **kwargs):
            raise FishNetError(
                f'the operator {name} is not in fishnet_mmdet.ops, and mmcv is installed without its compiled operators: '
                'compile mmcv for this PyTorch, https://mmcv.readthedocs.io/en/latest/get_started/build.html'
            )

        return missing


def untraced(function: Callable) -> Callable:
    """Lets torch.compile call an operator as it is, since its loops and sizes depend on the data."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        # Nothing is traced before Dynamo is imported, which takes a second.
        dynamo = sys.modules.get('torch._dynamo')
        if dynamo is None:
            return function(*args, **kwargs)
        if not hasattr(call, 'disabled'):
            call.disabled = dynamo.disable(function)
        return call.disabled(*args, **kwargs)

    return call


def install(operators: Dict[str, Callable]) -> None:
    """Puts operators in the place of mmcv's compiled ones, unless these can be imported.

    It must be called before anything imports ``mmcv.ops``, as most modules of mmdet do.

    Args:
        operators (dict[str, Callable]): Function by its name in ``mmcv._ext``.
    """
    try:
        importlib.import_module(NAME)
    except ImportError as error:
        if importlib.util.find_spec(NAME) is not None:
            warnings.warn(
                f"mmcv's compiled operators cannot be imported ({error}), perhaps since they were compiled for another "
                'PyTorch. The operators of fishnet_mmdet.ops take their place.',
                stacklevel=2,
            )
        sys.modules[NAME] = Operators(operators)


def installed() -> bool:
    """Whether the operators of this package are in effect."""
    return isinstance(sys.modules.get(NAME), Operators)
