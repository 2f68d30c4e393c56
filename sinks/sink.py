"""
The port that every store implements, and its twin in memory.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from sinks.errors import PermanentError
from sinks.rows import with_position
from sinks.source import Record, TopicPartition


class Sink(Protocol):
    """
    A store for rows, written by one thread at a time.

    `write` returns when the rows are durable. It may be called again with rows that are written already (after an
    error, a rebalance or a kill): the store must then end as if each row had been written once.
    """

    name: str

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """
        Take on assigned partitions, and return the offset at which each begins; None: where the group's commit says.

        The answer leaves out partitions that another process still holds; the caller asks again. RetryableError when
        the store cannot tell now.
        """

    def release(self, partitions: Iterable[TopicPartition]) -> None:
        """Give up revoked partitions: `write` gets no more rows of them."""

    def write(self, table: str, rows: Sequence[Record]) -> None:
        """
        Write rows of one table. They may be of several partitions; each partition's are in the order of offsets.

        RetryableError when the store cannot take them now, PermanentError when a row is at fault, FatalError when a
        person has to act. In all three cases some of the rows may be written.
        """

    def close(self) -> None:
        """Close connections, and release locks."""


class MemorySink:
    """
    A sink in memory: a table is a dictionary from a record's position to its row.

    Each of the next calls of `write` raises one of `faults`, before it writes. A row whose value is in `refused` is at
    fault.
    """

    name = "memory"

    def __init__(self) -> None:
        self.tables: dict[str, dict[tuple[str, int, int], bytes]] = {}
        self.faults: list[Exception] = []
        self.refused: set[bytes] = set()
        self.claimed: set[TopicPartition] = set()
        self.writes = 0

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Take on every partition, each from the group's commit on."""
        taken = list(partitions)
        self.claimed.update(taken)
        return dict.fromkeys(taken)

    def release(self, partitions: Iterable[TopicPartition]) -> None:
        """Give up the partitions."""
        self.claimed.difference_update(partitions)

    def write(self, table: str, rows: Sequence[Record]) -> None:
        """Keep the rows, unless a fault is due or one of them is refused."""
        self.writes += 1
        if self.faults:
            raise self.faults.pop(0)
        for row in rows:
            if row.value in self.refused:
                raise PermanentError(f"refused: offset {row.offset}")
        kept = self.tables.setdefault(table, {})
        kept.update({(row.topic, row.partition, row.offset): with_position(row) for row in rows})

    def close(self) -> None:
        """Do nothing: there is no connection."""
