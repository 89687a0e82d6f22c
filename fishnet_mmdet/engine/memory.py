"""Memory that a process frees stays with it."""

import ctypes
import os
import sys

# mallopt(3): whether to give memory at the end of the heap back, how much more to take at once, and how many allocations may
# have pages of their own.
TRIM_THRESHOLD, NEVER = -1, -1
TOP_PAD, MEBIBYTES_64 = -2, 64 * 2**20
MMAP_MAX, NONE = -4, 0


def keep_freed_memory() -> bool:
    """Lets the C library keep what is freed for what is needed next.

    glibc gives each large tensor back to the system when it is freed, and the system clears every page that it hands out anew:
    for the features of large images, that takes longer on the CPU than what is computed in them. Where a variable of the
    environment tells glibc what to do (``MALLOC_...``), that holds.

    Returns:
        bool: Whether the C library does so: glibc alone can.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None) if sys.platform == 'linux' else None
    if mallopt is None or any(name.startswith('MALLOC_') for name in os.environ):
        return False
    options = (TRIM_THRESHOLD, NEVER), (TOP_PAD, MEBIBYTES_64), (MMAP_MAX, NONE)
    return all([mallopt(name, value) == 1 for name, value in options])
