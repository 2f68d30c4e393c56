"""
What the C library's allocator does with large buffers.
"""

import ctypes
from typing import Final

_MIB: Final = 1 << 20

# The names and numbers of malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def keep_large_buffers() -> None:
    """
    Let the process keep buffers of up to 32 MiB that it is done with, for the next ones: 64 MiB of them at most.

    Those of fetches and of flushes come again ten times a second. Given back to the kernel, each of their pages is
    found, cleared and mapped anew, which on a virtual machine can take longer than filling it. Does nothing where the
    C library does not have the setting, as outside glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 * _MIB)
        mallopt(_M_TRIM_THRESHOLD, 64 * _MIB)
