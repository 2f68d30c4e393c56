"""
Where rows go: the port that every store implements, and its twin in memory.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from sinks.errors import PermanentError
from sinks.rows import with_position
from sinks.source import Record, TopicPartition


class Sink(Protocol):
    """
    A store for rows, written by one thread at a time.

    `write` returns when the rows are durable. It may be called again with rows that were written before (after an
    error, a rebalance or a kill): the store then must end as if each had been written once.
    """

    name: str

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """
        Take on partitions, and say from which offset each is to be read: None leaves it to the consumer group.

        A partition that is still held by another process is left out; the caller asks again. RetryableError when the
        store cannot say now.
        """

    def release(self, partitions: Iterable[TopicPartition]) -> None:
        """Give partitions back. Nothing of them is written after this."""

    def write(self, table: str, rows: Sequence[Record]) -> None:
        """
        Write rows of one table, in order; of several partitions, each in the order of its offsets.

        RetryableError when it cannot be done now, PermanentError when a row is at fault, FatalError when a person has
        to act. Some of the rows may have been written in all three cases.
        """

    def close(self) -> None:
        """Let go of connections and locks."""


class MemorySink:
    """
    The twin in memory: tables as dictionaries from a record's position to its row.

    `faults` are raised by the next calls of `write`, one each, before anything is written. Rows whose value is
    in `refused` are at fault.
    """

    name = "memory"

    def __init__(self) -> None:
        self.tables: dict[str, dict[tuple[str, int, int], bytes]] = {}
        self.faults: list[Exception] = []
        self.refused: set[bytes] = set()
        self.claimed: set[TopicPartition] = set()
        self.writes = 0

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Take on every partition; the consumer group knows the position."""
        taken = list(partitions)
        self.claimed.update(taken)
        return dict.fromkeys(taken)

    def release(self, partitions: Iterable[TopicPartition]) -> None:
        """Give partitions back."""
        self.claimed.difference_update(partitions)

    def write(self, table: str, rows: Sequence[Record]) -> None:
        """Keep the rows, unless a fault is waiting or one of them is refused."""
        self.writes += 1
        if self.faults:
            raise self.faults.pop(0)
        for row in rows:
            if row.value in self.refused:
                raise PermanentError(f"refused: offset {row.offset}")
        kept = self.tables.setdefault(table, {})
        kept.update({(row.topic, row.partition, row.offset): with_position(row) for row in rows})

    def close(self) -> None:
        """Nothing to let go of."""
