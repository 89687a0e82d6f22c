"""What the package needs of the stack around it."""

import importlib
import re

from .errors import FishNetError

HOW_TO_INSTALL_MMCV = (
    'compile it beside the torch that is installed: pip install "setuptools<81" wheel ninja, then '
    'pip install --no-build-isolation --no-cache-dir --force-reinstall --no-deps "mmcv==2.1.0" '
    '(about 9 minutes on 2 cores)'
)
#: Module: (lowest version, first version that is too new, how to install it).
NEEDED = {
    # From 2.6 on, torch can read a training checkpoint without running code that it may hold.
    'torch': ((2, 6), (3,), 'pip install "torch>=2.6"'),
    'mmengine': ((0, 10), (1,), 'pip install mmengine==0.10.7'),
    'mmcv': ((2, 0), (3,), HOW_TO_INSTALL_MMCV),
    'mmdet': ((3, 3), (4,), 'pip install mmdet==3.3.0'),
}


def check_versions() -> None:
    """Checks that the stack is there, in versions that fit.

    Raises:
        FishNetError: If a package is missing or has the wrong version; the message holds the command that mends it.
    """
    for name, (lowest, too_new, mend) in NEEDED.items():
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            state = 'is not installed' if error.name == name else f'is installed and does not import ({error})'
            raise FishNetError(f'fishnet_mmdet needs {name}, which {state}: {mend}') from error
        except AssertionError as error:  # mmdet's own check of mmcv's and mmengine's versions
            raise FishNetError(
                f'{name} does not work with what is installed: {error} For mmcv: {NEEDED["mmcv"][-1]}'
            ) from error
        version = tuple(map(int, re.findall(r'\d+', module.__version__)[:3]))
        if not lowest <= version < too_new:
            raise FishNetError(
                f'fishnet_mmdet needs {name} {dotted(lowest)} or newer, below {dotted(too_new)}; '
                f'{module.__version__} is installed: {mend}'
            )


def dotted(version: tuple) -> str:
    """'2.1' for (2, 1)."""
    return '.'.join(map(str, version))
