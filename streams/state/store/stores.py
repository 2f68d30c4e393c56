"""
The local store of a table's rows: a cache of the changelog, never the truth.
"""

from collections.abc import Iterable, Iterator, Mapping
from heapq import nsmallest
from typing import Final, NamedTuple, Protocol

MAX_AGE_SECONDS: Final = 12 * 60 * 60
"""
Half of the least time that a compacted changelog keeps tombstones (`delete.retention.ms`). A partition that was not
written for longer could miss deletions that the changelog no longer shows, so it is restored from the beginning.
"""


class StoreError(Exception):
    """The files of a partition cannot be opened or written; `str()` is one line that names them."""


class Portion(NamedTuple):
    """Some rows of a partition in the order of their keys, and the key that the next ones follow; None: no more."""

    rows: Mapping[bytes, bytes]
    last: bytes | None

    @classmethod
    def cut(cls, rows: Iterable[tuple[bytes, bytes]], count: int) -> "Portion":
        """Return rows that were cut off after `count`."""
        found = dict(rows)
        return cls(found, next(reversed(found)) if len(found) == count else None)


class Store(Protocol):
    """
    Rows of the open partitions, as bytes, and the changelog offset up to which each partition has them.

    A partition must be opened before it is read or written. All methods are synchronous. Processes share nothing.
    """

    def kept(self) -> set[int]:
        """Return the partitions, open or not, that may have rows of an earlier run."""

    def open(self, partition: int) -> None:
        """Make a partition readable, with the rows left of an earlier run; opening an open one does nothing."""

    def close(self, partition: int) -> None:
        """Close a partition; a store that outlives the process keeps its rows."""

    def clear(self, partition: int) -> None:
        """Delete all rows and the offset of an open partition, which stays open."""

    def offset(self, partition: int) -> int | None:
        """Return the changelog offset of the last write, None when there was none."""

    def read(self, partition: int, key: bytes) -> bytes | None:
        """Return a row, None when there is none."""

    def write(self, partition: int, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """
        Write rows (None: delete) and the changelog offset that they reach: all or nothing.

        Without an offset, the former offset and its age stay: a restore from there reads these rows again.
        """

    def load(self, partition: int, rows: Mapping[bytes, bytes | None], offset: int) -> None:
        """Write rows of a long restore, which nothing reads before its end: as `write`, for less."""

    def scan(self, partition: int, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose keys begin with `prefix` and come after `after`, in the order of the keys."""

    def portion(self, partition: int, prefix: bytes, after: bytes, count: int) -> Portion:
        """
        Return up to `count` rows whose keys begin with `prefix`, from the first one behind the key `after` on.

        Fewer rows may still have others behind them. Rows may be written between two portions: each is as of its own
        moment.
        """

    def estimate_rows(self) -> int:
        """Return about how many rows the open partitions have, cheaply."""


class MemoryStore:
    """A dictionary per partition. Closing a partition drops its rows."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[bytes, bytes]] = {}
        self._offsets: dict[int, int] = {}

    def kept(self) -> set[int]:
        """Return the open partitions: closed ones have no rows."""
        return set(self._rows)

    def open(self, partition: int) -> None:
        """Begin with no rows, unless the partition is open already."""
        self._rows.setdefault(partition, {})

    def close(self, partition: int) -> None:
        """Drop the partition's rows."""
        self._rows.pop(partition, None)
        self._offsets.pop(partition, None)

    def clear(self, partition: int) -> None:
        """Delete all rows and the offset of an open partition."""
        self._rows[partition] = {}
        self._offsets.pop(partition, None)

    def offset(self, partition: int) -> int | None:
        """Return the changelog offset of the last write."""
        return self._offsets.get(partition)

    def read(self, partition: int, key: bytes) -> bytes | None:
        """Return a row, None when there is none."""
        return self._rows[partition].get(key)

    def write(self, partition: int, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Write rows and offset; no other task runs in between."""
        mine = self._rows[partition]
        for key, value in rows.items():
            if value is None:
                mine.pop(key, None)
            else:
                mine[key] = value
        if offset is not None:
            self._offsets[partition] = offset

    def load(self, partition: int, rows: Mapping[bytes, bytes | None], offset: int) -> None:
        """Write rows and offset."""
        self.write(partition, rows, offset)

    def scan(self, partition: int, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose keys begin with `prefix` and come after `after`, sorted."""
        rows = self._rows[partition]
        return ((key, rows[key]) for key in sorted(key for key in rows if key.startswith(prefix) and key > after))

    def portion(self, partition: int, prefix: bytes, after: bytes, count: int) -> Portion:
        """Return the next rows, found among all."""
        mine = self._rows[partition]
        keys = nsmallest(count, (key for key in mine if key.startswith(prefix) and key > after))
        return Portion.cut(((key, mine[key]) for key in keys), count)

    def estimate_rows(self) -> int:
        """Return how many rows there are."""
        return sum(map(len, self._rows.values()))
