"""
The folder of one worker's local state: locked while the worker runs, and found again at its next start.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from streams.errors import DataFolderError

_MAX_WORKERS: Final = 256


@contextmanager
def worker_folder(root: Path) -> Iterator[Path]:
    """
    Yield `root/worker-0`, or the first of `worker-1`, … that no running worker has locked.

    The lock ends with the process, however that ends. Workers that start in another order get each other's folders,
    which costs a restore and nothing else. Raises DataFolderError when no folder can be locked.
    """
    for number in range(_MAX_WORKERS):
        folder = root / f"worker-{number}"
        lock = _lock(folder)
        if lock is not None:
            try:
                yield folder
            finally:
                os.close(lock)
            return
    raise DataFolderError(f"STREAMS_DATA_DIR={root}: {_MAX_WORKERS} workers use it already")


def require_usable(root: Path) -> None:
    """
    Raise DataFolderError unless workers can have folders in `root`.

    Tries it in the nearest folder above that is there, and makes nothing on the way: a worker that starts at the same
    time may be making it.
    """
    try:
        there = next(folder for folder in (root, *root.parents) if os.path.lexists(folder))
        with tempfile.TemporaryDirectory(dir=there):
            pass
    except OSError as error:
        raise DataFolderError(f"STREAMS_DATA_DIR={root}: {error.strerror}") from error


def _lock(folder: Path) -> int | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise DataFolderError(f"STREAMS_DATA_DIR={folder.parent}: {error.strerror}: {error.filename}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
