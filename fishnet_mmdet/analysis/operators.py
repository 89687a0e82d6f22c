"""Times the operators of this package beside mmcv's compiled ones, in one process and in turns, since machines are noisy."""

import importlib
import platform
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from types import ModuleType
from typing import Callable, Dict, Iterator, List, Optional

import mmcv.ops
import torch

from ..ops import OPERATORS, installed
from ..ops.stand_in import NAME, Operators


def compiled() -> Optional[ModuleType]:
    """mmcv's compiled operators; None where there are none."""
    return None if installed() else importlib.import_module(NAME)


@contextmanager
def in_effect(operators: ModuleType) -> Iterator[None]:
    """Lets all modules of mmcv.ops call these operators, and ``installed()`` say whose they are."""
    extension = sys.modules[NAME]
    modules = [module for name, module in list(sys.modules.items()) if name.startswith('mmcv.ops.')]
    before = {module: module.ext_module for module in modules if 'ext_module' in vars(module)}
    try:
        sys.modules[NAME] = operators
        for module in before:
            module.ext_module = operators
        yield
    finally:
        sys.modules[NAME] = extension
        for module, old in before.items():
            module.ext_module = old


def compare(step: Callable[[], object], rounds: int) -> dict:
    """Times a step with the operators of this package, and with mmcv's where they are compiled.

    Args:
        step (Callable): Calls functions of mmcv.ops.
        rounds (int): In each of them both take their turn; the first is not counted.

    Returns:
        dict: Medians of the seconds as ``ours`` and ``compiled``, and the median ``ratio`` of the rounds; without a compiled
        operator the last two are None.
    """
    candidates = dict(ours=Operators(OPERATORS))
    if compiled() is not None and has_kernel(step, compiled()):
        candidates['compiled'] = compiled()
    seconds: Dict[str, List[float]] = {name: [] for name in candidates}
    for _ in range(rounds + 1):
        for name, operators in candidates.items():
            with in_effect(operators):
                torch.manual_seed(0)
                start = perf_counter()
                step()
                seconds[name].append(perf_counter() - start)
    seconds = {name: times[1:] for name, times in seconds.items()}
    both = 'compiled' in seconds
    ratios = [ours / theirs for ours, theirs in zip(seconds['ours'], seconds['compiled'])] if both else []
    return dict(
        ours=median(seconds['ours']),
        compiled=median(seconds['compiled']) if both else None,
        ratio=median(ratios) if both else None,
    )


def has_kernel(step: Callable[[], object], operators: ModuleType) -> bool:
    """Whether mmcv has the operators that a step uses for this device."""
    try:
        with in_effect(operators):
            step()
    except RuntimeError as error:
        if 'implementation for device' in str(error):
            return False
        raise
    return True


def machine() -> str:
    """The processor and the versions that a result depends on."""
    info = Path('/proc/cpuinfo')
    model = re.search(r'model name\s*:\s*(.+)', info.read_text() if info.is_file() else '')
    processor = model[1] if model else platform.machine()
    return f'{processor}, {torch.get_num_threads()} threads; torch {torch.__version__}, mmcv {mmcv.__version__}'
