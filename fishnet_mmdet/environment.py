"""What the package needs of the stack around it."""

import importlib
import importlib.util
import re
import sys

from .errors import FishNetError

#: Module: (lowest version, first version that is too new, how to install it).
NEEDED = {
    'torch': ((2, 0), (3,), 'pip install "torch>=2.0"'),
    'numpy': ((1, 26), (3,), 'pip install "numpy>=1.26"'),
    'mmengine': ((0, 10), (1,), 'pip install mmengine==0.10.7'),
    'mmcv': ((2, 0), (3,), 'pip install mmcv-lite==2.1.0'),
    'mmdet': ((3, 3), (4,), 'pip install mmdet==3.3.0'),
}
#: Without one of these, the package runs exported models and does nothing else.
STACK = ('torch', 'mmengine', 'mmcv', 'mmdet')
#: From this release on, torch is built for NumPy 2; before, its tensors cannot be made from NumPy 2's arrays.
FIRST_TORCH_FOR_NUMPY_2 = (2, 3)
#: What an import says where the system has no OpenGL, as in most containers; mmengine asks for the OpenCV that needs it.
NO_OPENGL = 'libGL.so'
HOW_TO_DO_WITHOUT_OPENGL = 'pip uninstall -y opencv-python; pip install opencv-python-headless'


def has_stack() -> bool:
    """Whether torch and mmdet are installed, in any version."""
    return all(importlib.util.find_spec(name) for name in STACK)


def check() -> None:
    """Checks the stack: on import of the package, or on the first use of what needs it.

    Raises:
        FishNetError: As :func:`check_versions`. A script that does not catch it ends with the message alone, without a stack
            trace: no command could have caught it, since each imports the package first.
    """
    try:
        check_versions()
    except FishNetError:
        default = sys.excepthook
        sys.excepthook = lambda kind, error, trace: (
            print(f'error: {error}', file=sys.stderr) if issubclass(kind, FishNetError) else default(kind, error, trace)
        )
        raise


def check_versions() -> None:
    """Checks that the stack is there, in versions that fit.

    Raises:
        FishNetError: If a package is missing or has the wrong version; the message holds the command that mends it.
    """
    versions = {name: _version(name) for name in NEEDED}
    if versions['numpy'] >= (2,) and versions['torch'] < FIRST_TORCH_FOR_NUMPY_2:
        raise FishNetError(
            f'torch {dotted(versions["torch"])} does not work with NumPy {dotted(versions["numpy"])}: pip install "numpy<2", '
            f'or install torch {dotted(FIRST_TORCH_FOR_NUMPY_2)} or newer'
        )


def _version(name: str) -> tuple:
    """The version of a module of `NEEDED`, checked."""
    lowest, too_new, mend = NEEDED[name]
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        state = 'is not installed' if error.name == name else f'is installed and does not import ({error})'
        mend = HOW_TO_DO_WITHOUT_OPENGL if NO_OPENGL in str(error) else mend
        raise FishNetError(f'fishnet_mmdet needs {name}, which {state}: {mend}') from error
    except AssertionError as error:  # mmdet's own check of mmcv's and mmengine's versions
        raise FishNetError(f'{name} does not work with what is installed: {error} For mmcv: {NEEDED["mmcv"][-1]}') from error
    version = tuple(map(int, re.findall(r'\d+', module.__version__)[:3]))
    if not lowest <= version < too_new:
        raise FishNetError(
            f'fishnet_mmdet needs {name} {dotted(lowest)} or newer, below {dotted(too_new)}; '
            f'{module.__version__} is installed: {mend}'
        )
    return version


def dotted(version: tuple) -> str:
    """'2.1' for (2, 1)."""
    return '.'.join(map(str, version))
