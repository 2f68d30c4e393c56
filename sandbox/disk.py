"""
A full disk, told in one line: which folder lies on it, and which setting names another one.

Programs that meet a full disk often cannot write why they end. So the disk itself is asked.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.errors import DiskFullError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_MB: Final = 1_000_000
# Kafka and ClickHouse write in pieces larger than this: with less, the next one fails.
_LEAST_BYTES: Final = 2 * _MB


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that is written to, its name in a message, and the variable that says where it is."""

    folder: Path
    name: str
    variable: str

    def require(self, least_bytes: int = _LEAST_BYTES) -> None:
        """Raise DiskFullError when there is less room than this."""
        if (free := _free_bytes(self.folder)) < least_bytes:
            raise self._error(free, least_bytes)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Let DiskFullError stand for each error that comes with a full disk; other errors pass unchanged."""
        try:
            yield
        except DiskFullError:
            raise
        except Exception as error:
            free = _free_bytes(self.folder)
            if free < _LEAST_BYTES or _comes_of_a_full_disk(error):
                raise self._error(free, _LEAST_BYTES) from error
            raise

    def _error(self, free: int, needed: int) -> DiskFullError:
        room = f"{free / _MB:,.0f} MB are free, {needed / _MB:,.0f} MB are needed"
        state = f"too full ({room})" if needed > _LEAST_BYTES else "full"
        return DiskFullError(
            f"the disk that holds {self.name} is {state}: "
            f"free some space there, or set {self.variable} to a folder on another disk"
        )


def has_room(folder: Path) -> bool:
    """Return whether the next write there is likely to succeed."""
    return _free_bytes(folder) >= _LEAST_BYTES


def is_full(error: BaseException) -> bool:
    """Return whether an error of the operating system says that a disk, or a user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in _FULL


def _comes_of_a_full_disk(error: BaseException | None) -> bool:
    return error is not None and (is_full(error) or _comes_of_a_full_disk(error.__cause__ or error.__context__))


def _free_bytes(folder: Path) -> int:
    """Return how much can be written there; 0 where no further file can be made, all of it for a folder not there."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
    state = os.statvfs(there)
    if state.f_files and not state.f_favail:
        return 0
    return state.f_bavail * state.f_frsize
