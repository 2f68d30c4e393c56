"""
Records that are collected to be written together, and when they are due. Pure: the time is handed in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sinks.source import Record, TopicPartition

# Memory of a record besides its value: its fields, its numbers, the header of `bytes`. Most of a small record is that.
_RECORD_BYTES: Final = 192


@dataclass(frozen=True, slots=True)
class Limits:
    """A batch is due when it has `rows` rows or is `seconds` old; it takes no more records when it has `nbytes`."""

    rows: int
    nbytes: int
    seconds: float


class Batch:
    """
    Records of several partitions, each partition's in the order in which they were read.

    A due batch grows until the store is free: the further the store is behind, the fewer and larger are the writes. It
    may exceed `nbytes` by the records of one poll.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._records: dict[TopicPartition, list[Record]] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._rows = 0
        self._nbytes = 0
        self._since: float | None = None

    def __len__(self) -> int:
        return self._rows

    @property
    def nbytes(self) -> int:
        """Return the bytes that the records take in memory."""
        return self._nbytes

    @property
    def is_full(self) -> bool:
        """Return whether no more records may be added."""
        return self._nbytes >= self._limits.nbytes

    @property
    def rows_until_due(self) -> int:
        """Return how many more rows make it due."""
        return 0 if self.is_full else max(0, self._limits.rows - self._rows)

    @property
    def records(self) -> Mapping[TopicPartition, Sequence[Record]]:
        """Return the collected records of each partition."""
        return self._records

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """Return, for each partition, the offset to commit once the batch is written: all before it is dealt with."""
        return self._positions

    def add(self, partition: TopicPartition, records: Sequence[Record], now: float) -> None:
        """Append records of a partition that follow its records in the batch."""
        if not records:
            return
        self._records.setdefault(partition, []).extend(records)
        self._positions[partition] = records[-1].offset + 1
        self._rows += len(records)
        self._nbytes += _nbytes(records)
        if self._since is None:
            self._since = now

    def pass_over(self, partition: TopicPartition, position: int, now: float) -> None:
        """Note that a partition has nothing more to write before a position; its records in the batch lie before it."""
        self._positions[partition] = position
        if self._since is None:
            self._since = now

    def drop(self, partitions: Iterable[TopicPartition]) -> int:
        """Remove the records of revoked partitions, and return how many there were."""
        dropped = 0
        for partition in partitions:
            self._positions.pop(partition, None)
            records = self._records.pop(partition, [])
            self._nbytes -= _nbytes(records)
            dropped += len(records)
        self._rows -= dropped
        if not self._positions:
            self._since = None
        return dropped

    def due_in(self, now: float) -> float:
        """Return the seconds until the batch is due: 0 when it is due, infinity when it is empty."""
        if self._since is None:
            return float("inf")
        if self.rows_until_due == 0:
            return 0.0
        return max(0.0, self._since + self._limits.seconds - now)


def _nbytes(records: Sequence[Record]) -> int:
    return _RECORD_BYTES * len(records) + sum([len(record.value) for record in records if record.value])
