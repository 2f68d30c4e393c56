"""
One writer per partition: a lock of the operating system for each partition and table, and one for its `.source.json`.

The lock ends with its process, however the process ends. A frozen process keeps its locks, so its successor waits and
never writes a file that the frozen one will write when it wakes up. All processes that share a folder must be on one
machine, or on a file system whose `flock` works between machines.
"""

import fcntl
import os
from pathlib import Path


class Lock:
    """A right that one process has at a time, told by a file in a folder: by its purpose, `source` or a partition."""

    def __init__(self, folder: Path, purpose: str | int) -> None:
        self._path = folder / f".lock-{purpose}"
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if it is free, and return whether it is held now."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
