"""What keeps mmengine and its fork working on newer releases of Python, setuptools and torch.

``pkg_resources``
    Imported by ``mmengine.utils.package_utils`` (0.10.7). Missing with setuptools 81 or newer, and without setuptools.
    Can go with mmengine 0.10: onedl-mmengine 0.10.8 and newer use importlib.metadata.
``distutils.errors``
    Imported by ``mmengine.utils.dl_utils.collect_env`` (mmengine 0.10.7, onedl-mmengine 0.10.12). Missing on Python 3.12 and
    newer without setuptools, as in a new virtual environment. Can go when neither imports it.
``mmengine.runner.checkpoint.get_torch_safe_globals``
    In onedl-mmengine (0.10.12) alone. While it loads a checkpoint it allows types of its own, which do not fit those of
    ``checkpoints.allow_training_state``, and disallows them afterwards. Emptied: ours are enough. Can go when the fork
    changes ``torch.load``'s types no longer.

Two more gaps of the stack are closed elsewhere:

- ``torch.load`` of torch 2.6 and newer refuses the training state in mmengine's checkpoints:
  ``checkpoints.allow_training_state``. Can go when mmengine registers its types with ``torch.serialization``.
- mmcv has compiled operators ready-made for no current stack: ``fishnet_mmdet.ops``.
"""

import importlib.metadata
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Optional, Sequence

from mmengine.runner import checkpoint


class Distribution:
    """An installed package, with as much of ``pkg_resources.Distribution`` as mmengine asks for.

    Args:
        name (str): Name of the package.

    Raises:
        importlib.metadata.PackageNotFoundError: If it is not installed.
    """

    def __init__(self, name: str) -> None:
        self._distribution = importlib.metadata.distribution(name)
        self.version = self._distribution.version
        self.location = str(self._distribution.locate_file(''))

    def has_metadata(self, file: str) -> bool:
        """Whether the package's metadata has a file of this name."""
        return self._distribution.read_text(file) is not None

    def get_metadata(self, file: str) -> str:
        """The text of a file of the package's metadata."""
        return self._distribution.read_text(file) or ''


class DistutilsPlatformError(Exception):
    """What mmengine catches where distutils finds no compiler; never raised here."""


#: Members of every stand-in. A dotted name needs its parent here too.
STAND_INS = {
    'pkg_resources': dict(
        get_distribution=Distribution,
        DistributionNotFound=importlib.metadata.PackageNotFoundError,
        # pytest's monkeypatch.syspath_prepend calls it in a process that has imported pkg_resources.
        fixup_namespace_packages=lambda path, parent=None: None,
    ),
    'distutils': dict(__path__=[]),
    'distutils.errors': dict(DistutilsPlatformError=DistutilsPlatformError),
}


class StandIns(MetaPathFinder, Loader):
    """Finds the modules of `STAND_INS`. It is asked last, so a module that is installed is always preferred."""

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        """The spec of a stand-in; None for all other names."""
        return ModuleSpec(name, self) if name in STAND_INS else None

    def exec_module(self, module: ModuleType) -> None:
        """Fills a stand-in with its members."""
        vars(module).update(STAND_INS[module.__name__])


def install() -> None:
    """Makes the stand-ins importable where nothing else has their names. A second call does nothing."""
    if not any(isinstance(finder, StandIns) for finder in sys.meta_path):
        sys.meta_path.append(StandIns())
    if hasattr(checkpoint, 'get_torch_safe_globals'):
        checkpoint.get_torch_safe_globals = list
