"""
A write-behind cache before a slower store: most rows are read and written again soon after a write.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from streams.state.store.stores import MAX_AGE_SECONDS, Portion, Store

_MIB: Final = 1 << 20
BUDGET_BYTES: Final = 64 * _MIB
_PARTITION_BYTES: Final = 8 * _MIB
"""A partition that holds more is flushed to the store behind."""

_PARTITION_WRITES: Final = 30_000
"""A partition with more writes is flushed, however few rows they are: a restore after a kill reads each write again."""

_PIECE_ROWS: Final = 300
"""Rows flushed at a time, besides twice the number just written. A piece is small because it blocks the event loop."""

_ROW_OVERHEAD: Final = 200
"""Bytes that a row takes besides its content, about: two objects, and an entry of a dictionary, a third of it empty."""


@dataclass(slots=True)
class _Recent:
    """The rows written to a partition since its last flush; a deleted row is None."""

    rows: dict[bytes, bytes | None] = field(default_factory=dict)
    offset: int | None = None
    size: int = 0
    writes: int = 0

    def add(self, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Add rows and their offset."""
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


class _Flushing:
    """Rows being flushed piece by piece; `rows` stay readable here until the store behind has all of them."""

    def __init__(self, recent: _Recent) -> None:
        self.rows: Final = recent.rows
        self.offset: Final = recent.offset
        self.size: Final = recent.size
        self._keys = list(recent.rows)
        self._written = 0

    def write_piece(self, count: int, store: Store, partition: int) -> bool:
        """Write the next `count` rows and return whether they were the last; a failed piece is written again."""
        end = self._written + count
        is_last = end >= len(self._keys)
        piece = {key: self.rows[key] for key in self._keys[self._written : end]}
        store.write(partition, piece, self.offset if is_last else None)
        self._written = end
        return is_last


class WriteBehind:
    """
    Implements `Store` with another one behind it.

    A partition that holds too many rows is flushed: one piece with each further write, so that no write takes long,
    and the offset with the last piece. After a kill the store behind is therefore older: its rows may be newer than
    its offset, never older, and a restore from that offset reads these rows, or later ones, again. Closing a
    partition flushes the rest in one write, or clears the partition when its last write is too long ago.

    All partitions together hold about `budget_bytes`, at most half as much again, as bytes: Python's garbage
    collector does not walk through them. Rows beyond that, as in a restore, are flushed at once.
    """

    def __init__(self, store: Store, budget_bytes: int = BUDGET_BYTES, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._budget_bytes = budget_bytes
        self._clock = clock
        self._written_at: dict[int, float] = {}
        self._recent: dict[int, _Recent] = {}
        self._flushing: dict[int, _Flushing] = {}
        self._loading: set[int] = set()
        """The partitions that were written by `load` last."""

    def kept(self) -> set[int]:
        """Return the partitions of the store behind."""
        return self._store.kept()

    def open(self, partition: int) -> None:
        """Open the partition of the store behind."""
        self._store.open(partition)
        self._recent.setdefault(partition, _Recent())

    def close(self, partition: int) -> None:
        """Flush the rows that the store behind does not have, and close the partition there."""
        if partition in self._recent:
            # Flushing now would stamp old rows with today's date: see MAX_AGE_SECONDS.
            if self._clock() - self._written_at.pop(partition, self._clock()) > MAX_AGE_SECONDS:
                self.clear(partition)
            self._flush(partition)
            del self._recent[partition]
        self._loading.discard(partition)
        self._store.close(partition)

    def clear(self, partition: int) -> None:
        """Delete all rows and the offset, here and in the store behind."""
        self._recent[partition] = _Recent()
        self._flushing.pop(partition, None)
        self._loading.discard(partition)
        self._store.clear(partition)

    def offset(self, partition: int) -> int | None:
        """Return the changelog offset of the last write."""
        for newest in (self._recent.get(partition), self._flushing.get(partition)):
            if newest is not None and newest.offset is not None:
                return newest.offset
        return self._store.offset(partition)

    def read(self, partition: int, key: bytes) -> bytes | None:
        """Return a row, None when there is none."""
        rows = self._recent[partition].rows
        if key in rows:
            return rows[key]
        if partition in self._flushing and key in (rows := self._flushing[partition].rows):
            return rows[key]
        return self._store.read(partition, key)

    def write(self, partition: int, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Keep rows and offset; flush a piece when the partition holds too many rows. The first write ends a load."""
        self._written_at[partition] = self._clock()
        if partition in self._loading:  # nothing is here, and the store behind merges its files only after a write
            self._store.write(partition, rows, offset)
            self._loading.remove(partition)
            return
        recent = self._recent[partition]
        recent.add(rows, offset)
        room = min(_PARTITION_BYTES, self._budget_bytes // len(self._recent))
        if partition in self._flushing:
            # More than was added: the flush ends before half as much again has come in.
            self._flush_piece(partition, 2 * len(rows) + _PIECE_ROWS)
        elif recent.size > room or recent.writes > _PARTITION_WRITES:
            self._begin_flush(partition)
        if self._size(partition) > room * 3 // 2:
            self._flush(partition)

    def load(self, partition: int, rows: Mapping[bytes, bytes | None], offset: int) -> None:
        """
        Write rows and offset to the store behind at once: none of them would be found here before it had to go there.

        The rows that are here are older and go there first.
        """
        self._flush(partition)
        if self._recent[partition].rows:  # they came without an offset
            self.write(partition, rows, offset)
            return
        self._loading.add(partition)
        self._store.load(partition, rows, offset)
        self._written_at[partition] = self._clock()

    def _size(self, partition: int) -> int:
        flushing = self._flushing.get(partition)
        return self._recent[partition].size + (flushing.size if flushing else 0)

    def scan(self, partition: int, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose keys begin with `prefix` and come after `after`; the partition is flushed first."""
        self._flush(partition)
        return self._store.scan(partition, prefix, after)

    def portion(self, partition: int, prefix: bytes, after: bytes, count: int) -> Portion:
        """Return the next rows of the store behind, and the rows here that belong among them."""
        rows, last = self._store.portion(partition, prefix, after, count)
        found: dict[bytes, bytes | None] = {**rows}
        for layer in (self._flushing.get(partition), self._recent.get(partition)):
            found |= {
                key: row
                for key, row in (layer.rows if layer else {}).items()
                if key.startswith(prefix) and key > after and (last is None or key <= last)
            }
        merged = [(key, row) for key in sorted(found) if (row := found[key]) is not None]
        return Portion(dict(merged), last) if len(merged) <= count else Portion.cut(merged[:count], count)

    def estimate_rows(self) -> int:
        """Return about how many rows there are: a rewritten row counts twice until it is flushed."""
        waiting = [some.rows for layer in (self._recent, self._flushing) for some in layer.values()]
        return self._store.estimate_rows() + sum(map(len, waiting))

    def _begin_flush(self, partition: int) -> None:
        # Pieces without an offset would leave a new store without an age, and its rows would never expire.
        if self._store.offset(partition) is None:
            self._flush(partition)
        else:
            self._flushing[partition] = _Flushing(self._recent[partition])
            self._recent[partition] = _Recent()

    def _flush_piece(self, partition: int, count: int) -> None:
        if self._flushing[partition].write_piece(count, self._store, partition):
            del self._flushing[partition]

    def _flush(self, partition: int) -> None:
        if partition in self._flushing:
            self._flush_piece(partition, len(self._flushing[partition].rows))
        recent = self._recent[partition]
        if recent.offset is not None:
            self._store.write(partition, recent.rows, recent.offset)
            self._recent[partition] = _Recent()
