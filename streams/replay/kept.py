"""
Values by key in bounded memory: the newest of each key counts, and beyond a bound they lie on disk.

One partition of a month may have more SMS than a machine has memory for. In the order of the keys at the end, they are
the rows of a table.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from streams.state.store.rocks import RocksMemory, RocksStore

MOST_BYTES: Final = 64 << 20
"""Of the values of one table in memory, about."""

_OVERHEAD: Final = 200
"""Bytes that a value takes besides its content, about: two objects, and an entry of a dictionary."""

_PIECE: Final = 5_000
_OURS: Final = b"r"
_CACHE_BYTES: Final = 32 << 20
_BUFFER_BYTES: Final = 32 << 20


class Behind(Protocol):
    """The values of a table that are on disk."""

    def read(self, key: bytes) -> bytes | None:
        """Return a value, None when there is none."""

    def write(self, values: dict[bytes, bytes | None]) -> None:
        """Write values; None deletes one."""

    def scan(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all, in the order of the keys."""


class Kept:
    """The values of a table; without `open_behind` all of them stay in memory."""

    def __init__(self, open_behind: Callable[[], Behind] | None = None, most_bytes: int = MOST_BYTES) -> None:
        self._recent: dict[bytes, bytes | None] = {}
        self._open_behind = open_behind
        self._behind: Behind | None = None
        self._most_bytes = most_bytes
        self._bytes = 0

    def get(self, key: bytes, /) -> bytes | None:
        """Return a value, None when there is none."""
        if self._behind is None or key in self._recent:
            return self._recent.get(key)
        return self._behind.read(key)

    def __setitem__(self, key: bytes, value: bytes, /) -> None:
        self._recent[key] = value
        # One that is written again counts again, until all are counted.
        self._bytes += len(value) + _OVERHEAD
        if self._open_behind is not None and self._bytes > self._most_bytes:
            self._make_room(self._open_behind)

    def pop(self, key: bytes, default: None = None, /) -> None:
        """Delete a value, if it is there."""
        del default
        if self._behind is None:
            self._recent.pop(key, None)
        else:
            self._recent[key] = None
            self._bytes += _OVERHEAD

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all values with their keys, in the order of the keys."""
        if self._behind is None:
            recent = self._recent
            return ((key, value) for key in sorted(recent) if (value := recent[key]) is not None)
        self._write_behind(self._behind)
        return self._behind.scan()

    def values(self) -> Iterator[bytes]:
        """Yield all values, in the order of the keys."""
        return (value for _, value in self.items())

    def _make_room(self, open_behind: Callable[[], Behind]) -> None:
        self._bytes = sum(len(value or b"") + _OVERHEAD for value in self._recent.values())
        if self._bytes > self._most_bytes // 2:
            if self._behind is None:
                self._behind = open_behind()
            self._write_behind(self._behind)

    def _write_behind(self, behind: Behind) -> None:
        left = iter(self._recent.items())
        while piece := dict(islice(left, _PIECE)):
            behind.write(piece)
        self._recent = {}
        self._bytes = 0


MakeKept = Callable[[], Kept]


@contextmanager
def on_disk(folder: Path, most_bytes: int = MOST_BYTES) -> Iterator[MakeKept]:
    """Give a function that makes tables, whose files are in a folder; nothing is written while there is room."""
    store = RocksStore(folder, RocksMemory(_CACHE_BYTES, _BUFFER_BYTES))
    opened: list[int] = []

    def open_behind() -> Behind:
        opened.append(len(opened))
        store.open(opened[-1])
        return _Behind(store, opened[-1])

    try:
        yield lambda: Kept(open_behind, most_bytes)
    finally:
        for number in opened:
            store.close(number)


class _Behind:
    """A store. Keys begin with a byte of ours: a store keeps some of its own, and an id of Routee may be any text."""

    def __init__(self, store: RocksStore, number: int) -> None:
        self._store = store
        self._number = number

    def read(self, key: bytes) -> bytes | None:
        return self._store.read(self._number, _OURS + key)

    def write(self, values: dict[bytes, bytes | None]) -> None:
        self._store.write(self._number, {_OURS + key: value for key, value in values.items()}, None)

    def scan(self) -> Iterator[tuple[bytes, bytes]]:
        return ((key[len(_OURS) :], value) for key, value in self._store.scan(self._number, _OURS))
