"""
Rows to objects, exactly once: the name of an object is the position, and the store lets one writer have it.

1. A partition is claimed: reading begins after its last object, whose last row says where that is. Nothing is locked.
   Killed here: nothing happened. `origin.take_on` has made sure that the objects are of this topic.
2. An object is created under the name of the position, unless there is one. Killed here: it is there, whole, or not.
3. There is one: an earlier try wrote it, and its answer was lost; or another process did, which has taken the partition
   on, or had it before. In both cases this one goes on after the last row that is there.
4. The offsets are committed to Kafka. Killed before: the objects are ahead of the commit, and the objects count.

A compaction deletes names (`object_compaction`), ten seconds after the manifest of the day has named an object with
these rows. So after 2 the manifest is looked at: an object at a position that a joined one has is deleted again, also
one of an earlier try whose answer was lost, and this sink goes on after the joined one. Killed before: it does not
count, its rows are read again, and it is deleted with what compactions leave (`manifest.sweep`). No look is needed
within five seconds of the write before, at which no process had written behind the position; a claim tells that not,
since a last object may lie further back. A clock that was set wrong has no say in it.

Each object begins where the one before ends, so two processes that write the same partition meet at the same name,
also when their batches end at different rows. The day and the format are parts of the name, too: the day is that of the
first row, and all objects of a table have one format, which `.format` tells.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import groupby
from math import inf
from typing import Final

from sinks.errors import FatalError, RetryableError
from sinks.files.compaction import GRACE_SECONDS
from sinks.files.contents import UNREADABLE_CONTENT
from sinks.files.durable import read_if_there
from sinks.files.formats import FORMATS
from sinks.files.layout import by_partition, runs
from sinks.files.positions import noted_positions
from sinks.files.proof import last_offset, newest
from sinks.source import Record, TopicPartition
from sinks.tables import TABLE_OF, tables_by_topic
from streams.contract.topics import Topic
from streams.program.file_names import chained_name
from streams.program.joined import joined_over
from streams.program.objects import ObjectPath

_FORMAT: Final = ".format"
_SURE_SECONDS: Final = GRACE_SECONDS / 2
"""No name behind a position is deleted for the grace of a compaction after another process has written it."""


def boot_seconds() -> float:
    """Return the seconds since the machine began; those in which it was suspended count."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class ObjectSink:
    """
    Implements `Sink` over an object store: every row in exactly one object, per partition and day.

    FatalError when the store does not answer at the start, or has objects of the other format.
    """

    name = "files"

    def __init__(
        self,
        root: ObjectPath,
        file_format: str,
        topic_prefix: str,
        table_of: Mapping[Topic, str] = TABLE_OF,
        seconds: Callable[[], float] = boot_seconds,
    ) -> None:
        self._root = root
        self._format = file_format
        self._tables = tables_by_topic(topic_prefix, table_of)
        self._seconds = seconds
        self._next: dict[TopicPartition, int] = {}
        self._sure_at: dict[TopicPartition, float] = {}
        """When it was last known of a partition that no process had written behind its position."""
        self._has_met_others = False
        self._met_days: dict[TopicPartition, date] = {}
        try:
            for table in self._tables.values():
                self._require_format(root / table / _FORMAT)
        except OSError as error:
            raise FatalError(f"SINKS_FILES_ROOT={root}: {error.strerror}") from error

    def _require_format(self, file: ObjectPath) -> None:
        if not file.create(self._format.encode()) and (found := file.read_text()) != self._format:
            raise FatalError(
                f"SINKS_FILES_ROOT={self._root}: {file.parent.name} is kept as {found}, and two writers of different "
                f"formats would write the same records: set SINKS_FILES_FORMAT={found}, or another SINKS_FILES_ROOT"
            )

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Take on all partitions. Each begins after its last object."""
        claimed: dict[TopicPartition, int | None] = {}
        try:
            for topic, group in groupby(sorted(partitions), key=lambda partition: partition.topic):
                folder = self._root / self._tables[topic]
                claiming = [*group]
                noted, found = noted_positions(folder), newest(folder, {one.partition for one in claiming})
                for partition in claiming:
                    last = found.get(partition.partition)
                    written = self._end_of(last) if last else 0
                    self._next[partition] = max(written, noted.get(partition.partition, 0))
                    self._sure_at[partition] = -inf
                    claimed[partition] = self._next[partition] or None
        except OSError as error:
            raise RetryableError(f"{error.filename or self._root}: {error.strerror}") from error
        return claimed

    def release(self, partitions: Iterable[TopicPartition]) -> None:
        """Do nothing: nothing is locked."""

    @property
    def holding(self) -> list[TopicPartition]:
        """
        Return the partitions that this process has, or had; for any thread.

        What it wrote at the end of its time is erased by itself: the next owner may have looked before.
        """
        return sorted(self._next.copy())

    @contextmanager
    def held(self, partition: TopicPartition) -> Iterator[bool]:
        """Tell that the partition may be erased; for any thread."""
        yield partition in self._next

    def write(self, table: str, rows: Sequence[Record]) -> None:
        """Write an object for each run of rows."""
        for partition, group in by_partition(rows):
            left = list(group)
            # The object of another process may end in the middle of a run.
            while left := [row for row in left if row.offset >= self._next[partition]]:
                self._next[partition] = self._write_first_run(table, partition, left)

    def _write_first_run(self, table: str, partition: TopicPartition, rows: Sequence[Record]) -> int:
        """Write the rows of the first day, and return the position after them, or after the rows that are there."""
        run, position = next(runs(rows)), self._next[partition]
        try:
            content = FORMATS[self._format](table, run.rows)
            name = chained_name(partition.partition, position, self._format)
            file = self._root / table / run.folder / name
            began = self._seconds()
            is_mine = file.create(content)
            is_sure = is_mine and self._seconds() - self._sure_at[partition] < _SURE_SECONDS
            joined = None if is_sure else joined_over(file.parent, partition.partition, position)
            if is_mine and joined is None:
                self._sure_at[partition] = began
                return run.rows[-1].offset + 1
            self._note_met(partition, run.day)
            if joined is not None:
                if is_mine or read_if_there(file) == content:
                    file.unlink()
                return joined + 1
            end = self._end_of(file)
        except OSError as error:
            raise RetryableError(f"{error.filename or self._root}: {error.strerror}") from error
        except MemoryError as error:
            raise RetryableError(f"no memory for an object of {len(run.rows)} rows of {table}") from error
        if end <= position:
            raise FatalError(f"{file} ends before it begins: see `routee-sinks files verify`")
        return end

    def _note_met(self, partition: TopicPartition, day: date) -> None:
        self._has_met_others = True
        self._met_days[partition] = min(day, self._met_days.get(partition, day))

    def met_day(self, partition: TopicPartition) -> date | None:
        """Return the oldest day in which an object was met that another process may have written; for any thread."""
        return self._met_days.get(partition)

    def met_others(self) -> bool:
        """Return whether an object was met since the last call that another process may have written."""
        met, self._has_met_others = self._has_met_others, False
        return met

    def _end_of(self, file: ObjectPath) -> int:
        try:
            return last_offset(file) + 1
        except UNREADABLE_CONTENT as error:
            raise FatalError(
                f"{file} cannot be read ({type(error).__name__}), so it is not known where it ends: restore it, or "
                "move it away when its records are still in Kafka"
            ) from error

    def close(self) -> None:
        """Do nothing: nothing is locked."""
