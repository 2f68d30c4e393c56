"""
The rows written last, in memory before a slower store: most of them are read and written again soon.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from streams.state.stores import Store

_MIB: Final = 1 << 20
BUDGET_BYTES: Final = 64 * _MIB
_PARTITION_BYTES: Final = 8 * _MIB
"""At most this much of one partition: everything else waits while it is handed over."""

_PARTITION_WRITES: Final = 30_000
"""At most so many records of its changelog: after a kill they are read again, however few rows they are."""

_ROW_OVERHEAD: Final = 200
"""About what a row takes besides its bytes: two objects, and an entry of a dictionary a third of which is empty."""


@dataclass(slots=True)
class _Recent:
    """What was written to a partition since it was last handed over; a deleted row is None."""

    rows: dict[bytes, bytes | None] = field(default_factory=dict)
    offset: int | None = None
    size: int = 0
    writes: int = 0

    def add(self, rows: Mapping[bytes, bytes | None], offset: int) -> None:
        """Take over rows and their offset."""
        mine = self.rows
        for key, value in rows.items():
            if key in mine:
                self.size -= len(mine[key] or b"")
            else:
                self.size += len(key) + _ROW_OVERHEAD
            self.size += len(value or b"")
            mine[key] = value
        self.offset = offset
        self.writes += len(rows)


class WriteBehind:
    """
    Implements `Store` with another one behind it.

    Rows are handed over in one write with the offset that they reach to: when those of a partition have become too
    many, and when it is closed. After a kill the store behind is therefore older, and what it has fits together. All
    partitions together hold about `budget_bytes` at most, as bytes: Python's garbage collector does not walk through
    them.
    """

    def __init__(self, store: Store, budget_bytes: int = BUDGET_BYTES) -> None:
        self._store = store
        self._budget_bytes = budget_bytes
        self._recent: dict[int, _Recent] = {}

    def open(self, partition: int) -> None:
        """Open the partition of the store behind."""
        self._store.open(partition)
        self._recent.setdefault(partition, _Recent())

    def close(self, partition: int) -> None:
        """Hand over what the store behind does not have, and close it there."""
        if partition in self._recent:
            self._hand_over(partition)
            del self._recent[partition]
        self._store.close(partition)

    def clear(self, partition: int) -> None:
        """Forget everything, here and behind."""
        self._recent[partition] = _Recent()
        self._store.clear(partition)

    def offset(self, partition: int) -> int | None:
        """Return the changelog offset of the last write."""
        recent = self._recent[partition]
        return self._store.offset(partition) if recent.offset is None else recent.offset

    def read(self, partition: int, key: bytes) -> bytes | None:
        """Return a row, None when there is none."""
        rows = self._recent[partition].rows
        return rows[key] if key in rows else self._store.read(partition, key)

    def write(self, partition: int, rows: Mapping[bytes, bytes | None], offset: int) -> None:
        """Keep rows and offset, and hand over when that is too much."""
        recent = self._recent[partition]
        recent.add(rows, offset)
        room = min(_PARTITION_BYTES, self._budget_bytes // len(self._recent))
        if recent.size > room or recent.writes > _PARTITION_WRITES:
            self._hand_over(partition)

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose keys begin with `prefix`; everything is handed over first."""
        self._hand_over(partition)
        return self._store.scan(partition, prefix)

    def estimate_rows(self) -> int:
        """Return about how many rows there are: one that is rewritten counts twice until it is handed over."""
        return self._store.estimate_rows() + sum(len(recent.rows) for recent in self._recent.values())

    def _hand_over(self, partition: int) -> None:
        recent = self._recent[partition]
        if recent.offset is not None:
            self._store.write(partition, recent.rows, recent.offset)
            self._recent[partition] = _Recent()
