"""
The rows written last, in memory before a slower store: most of them are read and written again soon.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from streams.state.store.stores import MAX_AGE_SECONDS, Store

_MIB: Final = 1 << 20
BUDGET_BYTES: Final = 64 * _MIB
_PARTITION_BYTES: Final = 8 * _MIB
"""At most this much of one partition before it is handed over."""

_PARTITION_WRITES: Final = 30_000
"""At most so many records of its changelog: after a kill they are read again, however few rows they are."""

_PIECE_ROWS: Final = 300
"""Handed over at a time, besides twice as many as were just written: everything else waits meanwhile."""

_ROW_OVERHEAD: Final = 200
"""About what a row takes besides its bytes: two objects, and an entry of a dictionary a third of which is empty."""


@dataclass(slots=True)
class _Recent:
    """What was written to a partition since it was last handed over; a deleted row is None."""

    rows: dict[bytes, bytes | None] = field(default_factory=dict)
    offset: int | None = None
    size: int = 0
    writes: int = 0

    def add(self, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Take over rows and their offset."""
        mine = self.rows
        for key, value in rows.items():
            if key in mine:
                self.size -= len(mine[key] or b"")
            else:
                self.size += len(key) + _ROW_OVERHEAD
            self.size += len(value or b"")
            mine[key] = value
        if offset is not None:
            self.offset = offset
        self.writes += len(rows)


class _Leaving:
    """What is being handed over, piece by piece; `rows` stay readable here until all of it is behind."""

    def __init__(self, recent: _Recent) -> None:
        self.rows: Final = recent.rows
        self.offset: Final = recent.offset
        self.size: Final = recent.size
        self._keys = list(recent.rows)
        self._gone = 0

    def write_piece(self, count: int, store: Store, partition: int) -> bool:
        """Write so many of the rows that are left, and tell whether they were the last; what fails is left."""
        end = self._gone + count
        is_last = end >= len(self._keys)
        piece = {key: self.rows[key] for key in self._keys[self._gone : end]}
        store.write(partition, piece, self.offset if is_last else None)
        self._gone = end
        return is_last


class WriteBehind:
    """
    Implements `Store` with another one behind it.

    When those of a partition have become too many, its rows are handed over: a piece with each further write, so that
    no write takes long, and the offset that they reach to with the last piece. After a kill the store behind is
    therefore older; some of its rows may be newer than its offset, never older, and whoever reads the changelog from
    that offset on meets just these rows, or later ones, again. When a partition is closed, all that is left goes in
    one write; what nobody has written to for too long is forgotten instead.

    All partitions together hold about `budget_bytes`, at most half as much again, as bytes: Python's garbage
    collector does not walk through them. What is too much for that, as in a recovery, is handed over at once.
    """

    def __init__(self, store: Store, budget_bytes: int = BUDGET_BYTES, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._budget_bytes = budget_bytes
        self._clock = clock
        self._written_at: dict[int, float] = {}
        self._recent: dict[int, _Recent] = {}
        self._leaving: dict[int, _Leaving] = {}

    def kept(self) -> set[int]:
        """Return the partitions of the store behind."""
        return self._store.kept()

    def open(self, partition: int) -> None:
        """Open the partition of the store behind."""
        self._store.open(partition)
        self._recent.setdefault(partition, _Recent())

    def close(self, partition: int) -> None:
        """Hand over what the store behind does not have, and close it there."""
        if partition in self._recent:
            # Handed over now it would look young: see MAX_AGE_SECONDS.
            if self._clock() - self._written_at.pop(partition, self._clock()) > MAX_AGE_SECONDS:
                self.clear(partition)
            self._flush(partition)
            del self._recent[partition]
        self._store.close(partition)

    def clear(self, partition: int) -> None:
        """Forget everything, here and behind."""
        self._recent[partition] = _Recent()
        self._leaving.pop(partition, None)
        self._store.clear(partition)

    def offset(self, partition: int) -> int | None:
        """Return the changelog offset of the last write."""
        for newest in (self._recent.get(partition), self._leaving.get(partition)):
            if newest is not None and newest.offset is not None:
                return newest.offset
        return self._store.offset(partition)

    def read(self, partition: int, key: bytes) -> bytes | None:
        """Return a row, None when there is none."""
        rows = self._recent[partition].rows
        if key in rows:
            return rows[key]
        if partition in self._leaving and key in (rows := self._leaving[partition].rows):
            return rows[key]
        return self._store.read(partition, key)

    def write(self, partition: int, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Keep rows and offset; hand over a piece when they have become too many."""
        recent = self._recent[partition]
        recent.add(rows, offset)
        self._written_at[partition] = self._clock()
        room = min(_PARTITION_BYTES, self._budget_bytes // len(self._recent))
        if partition in self._leaving:
            # More than was added: all of it has left before there is half as much again.
            self._flush_piece(partition, 2 * len(rows) + _PIECE_ROWS)
        elif recent.size > room or recent.writes > _PARTITION_WRITES:
            self._begin_flush(partition)
        if self._size(partition) > room * 3 // 2:
            self._flush(partition)

    def _size(self, partition: int) -> int:
        leaving = self._leaving.get(partition)
        return self._recent[partition].size + (leaving.size if leaving else 0)

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose keys begin with `prefix`; everything is handed over first."""
        self._flush(partition)
        return self._store.scan(partition, prefix)

    def estimate_rows(self) -> int:
        """Return about how many rows there are: one that is rewritten counts twice until it is handed over."""
        waiting = [some.rows for layer in (self._recent, self._leaving) for some in layer.values()]
        return self._store.estimate_rows() + sum(map(len, waiting))

    def _begin_flush(self, partition: int) -> None:
        # Rows of a store without an offset would have no age, and would never be too old to be believed.
        if self._store.offset(partition) is None:
            self._flush(partition)
        else:
            self._leaving[partition] = _Leaving(self._recent[partition])
            self._recent[partition] = _Recent()

    def _flush_piece(self, partition: int, count: int) -> None:
        if self._leaving[partition].write_piece(count, self._store, partition):
            del self._leaving[partition]

    def _flush(self, partition: int) -> None:
        if partition in self._leaving:
            self._flush_piece(partition, len(self._leaving[partition].rows))
        recent = self._recent[partition]
        if recent.offset is not None:
            self._store.write(partition, recent.rows, recent.offset)
            self._recent[partition] = _Recent()
