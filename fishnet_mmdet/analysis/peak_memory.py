"""The peak memory of a call."""

import ctypes
import re
from pathlib import Path
from typing import Callable, Optional

import torch


def measure_peak(call: Callable[[], object], device: str) -> Optional[int]:
    """Measures the most bytes that a call takes beyond what is taken before it.

    Args:
        call (Callable[[], object]): The call.
        device (str): 'cpu' or 'cuda'.

    Returns:
        int | None: Bytes; None if the system does not tell (it takes Linux and glibc for the CPU).
    """
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before
    try:
        # Gives free memory back to the system: the call may use it again, and then it has to count.
        ctypes.CDLL(None).malloc_trim(0)
        # 5 resets the peak to what is resident now, see proc(5).
        Path('/proc/self/clear_refs').write_text('5')
    except (AttributeError, OSError, TypeError):
        return None
    before = _resident('VmRSS')
    call()
    return _resident('VmHWM') - before


def _resident(kind: str) -> int:
    """Bytes of this process in memory: now (VmRSS) or at most (VmHWM)."""
    return 1024 * int(re.search(rf'{kind}:\s+(\d+) kB', Path('/proc/self/status').read_text())[1])
