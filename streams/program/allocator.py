"""
Tuning the C library's allocator for large buffers.
"""

import ctypes
from typing import Final

_MIB: Final = 1 << 20

# The names and numbers of malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def keep_large_buffers() -> None:
    """
    Let the process keep freed buffers of up to 32 MiB for reuse, 64 MiB of them at most.

    Fetches and flushes need such buffers ten times a second. When they are given back to the kernel, it must find,
    clear and map each page again, which on a virtual machine can take longer than filling it. Does nothing when the C
    library does not have the setting, as outside glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 * _MIB)
        mallopt(_M_TRIM_THRESHOLD, 64 * _MIB)
