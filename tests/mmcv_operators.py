"""A fixture: mmcv's functions call the operators of the package, also where mmcv has compiled ones."""

import sys

import pytest

import fishnet_mmdet  # noqa: F401  mmcv.ops can be imported from here on
from fishnet_mmdet.ops import OPERATORS
from fishnet_mmdet.ops.stand_in import Operators


@pytest.fixture(autouse=True)
def our_operators(monkeypatch):
    """Lets all modules of mmcv.ops call this package's operators."""
    import mmcv.ops  # noqa: F401

    ours = Operators(OPERATORS)
    modules = [module for name, module in list(sys.modules.items()) if name.startswith('mmcv.ops.')]
    modules = [module for module in modules if 'ext_module' in vars(module)]
    assert modules
    for module in modules:
        monkeypatch.setattr(module, 'ext_module', ours)
