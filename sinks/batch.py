"""
When the records collected so far are to be written: pure, the time is handed in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sinks.source import Record, TopicPartition

# A record beside its value: the tuple, its numbers, and what `bytes` adds. Small records are mostly that.
_RECORD_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """A batch is due when it has `rows` rows or is `seconds` old, and takes no more when it has `nbytes` bytes."""

    rows: int
    nbytes: int
    seconds: float


class Batch:
    """
    Records in the order in which they were read, per partition.

    One that is due goes on growing until its turn comes: the further the store is behind, the fewer, larger writes. It
    may outgrow `nbytes` by what one poll returned.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._records: dict[TopicPartition, list[Record]] = {}
        self._rows = 0
        self._nbytes = 0
        self._since: float | None = None

    def __len__(self) -> int:
        return self._rows

    @property
    def nbytes(self) -> int:
        """Return the bytes that all records take in memory."""
        return self._nbytes

    @property
    def is_full(self) -> bool:
        """Return whether nothing more may be added."""
        return self._nbytes >= self._limits.nbytes

    @property
    def rows_until_due(self) -> int:
        """Return how many rows are missing."""
        return 0 if self.is_full else max(0, self._limits.rows - self._rows)

    @property
    def records(self) -> Mapping[TopicPartition, Sequence[Record]]:
        """Return everything collected."""
        return self._records

    @property
    def positions(self) -> dict[TopicPartition, int]:
        """Return, for each partition, the offset after its last record: what may be committed once it is written."""
        return {partition: records[-1].offset + 1 for partition, records in self._records.items()}

    def add(self, partition: TopicPartition, records: Sequence[Record], now: float) -> None:
        """Append records that follow those already here of the same partition."""
        if not records:
            return
        self._records.setdefault(partition, []).extend(records)
        self._rows += len(records)
        self._nbytes += _nbytes(records)
        if self._since is None:
            self._since = now

    def drop(self, partitions: Iterable[TopicPartition]) -> int:
        """Forget what was collected of partitions that are no longer ours, and return how many records that was."""
        dropped = 0
        for partition in partitions:
            records = self._records.pop(partition, [])
            self._nbytes -= _nbytes(records)
            dropped += len(records)
        self._rows -= dropped
        if not self._records:
            self._since = None
        return dropped

    def due_in(self, now: float) -> float:
        """Return the seconds until it is due: 0 when it is, infinity when it is empty."""
        if self._since is None:
            return float("inf")
        if self.rows_until_due == 0:
            return 0.0
        return max(0.0, self._since + self._limits.seconds - now)


def _nbytes(records: Sequence[Record]) -> int:
    return _RECORD_BYTES * len(records) + sum([len(record.value) for record in records if record.value])
