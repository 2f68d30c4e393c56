"""
One writer per partition: a lock of the operating system for each partition and table, and one for its `.source.json`.

Another one, `days`, is shared by all that write and read files by their names; who exchanges the folder of a day
(`compaction`) has it alone.

The lock ends with its process, however the process ends. A frozen process keeps its locks, so its successor waits and
never writes a file that the frozen one will write when it wakes up. All processes that share a folder must be on one
machine, or on a file system whose `flock` works between machines.

An object store has no locks and needs none: there each write says what it expects, and the store decides.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sinks.errors import RetryableError
from streams.program.objects import ObjectPath, Place

_DAYS: Final = "days"
_WAIT_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 0.01


class Lock:
    """A right that one process has at a time, told by a file in a folder: by its purpose, `source` or a partition."""

    def __init__(self, folder: Path, purpose: str | int) -> None:
        self._path = folder / f".lock-{purpose}"
        self._descriptor: int | None = None

    def acquire(self, *, shared: bool = False) -> bool:
        """Take the lock if it is free, and return whether it is held now; a shared one may have several holders."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
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


class NoLock:
    """The right of each process, in an object store."""

    def acquire(self) -> bool:
        """Return that it is held."""
        return True

    def release(self) -> None:
        """Do nothing."""


def lock_of(folder: Place, purpose: str | int) -> Lock | NoLock:
    """Return the lock of a folder for a purpose."""
    return Lock(folder, purpose) if isinstance(folder, Path) else NoLock()


@contextmanager
def days(folder: Place, *, alone: bool = False, seconds: float = _WAIT_SECONDS) -> Iterator[None]:
    """
    Keep the folders of a table's days from being exchanged meanwhile; with `alone`, be the one who exchanges them.

    RetryableError when another process holds them for so many seconds.
    """
    if isinstance(folder, ObjectPath):
        yield  # it has no folders that could be exchanged
        return
    lock = Lock(folder, _DAYS)
    deadline = time.monotonic() + seconds
    while not lock.acquire(shared=not alone):
        if time.monotonic() > deadline:
            raise RetryableError(f"{folder}: another process has held .lock-{_DAYS} for {seconds:.0f} s: is it frozen?")
        time.sleep(_RETRY_SECONDS)
    try:
        yield
    finally:
        lock.release()
