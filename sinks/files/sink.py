"""
Rows to files, exactly once: the names of the files are the committed position.

1. A partition is claimed: its lock is taken, drafts of an earlier owner are removed, and reading begins after the
   furthest file, also one that `retention` has removed. Killed here: nothing happened. `origin.take_on` has made sure
   that the files are of this topic.
2. Rows are written to a draft, which is synced. Killed here: the next owner removes the draft and reads the rows again.
3. The draft is renamed, and its folder is synced. From here on the rows are written.
4. The offsets are committed to Kafka, for the lag and for partitions without files. Killed before: the names are ahead
   of the commit, and the names count.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path

from sinks.errors import FatalError, RetryableError
from sinks.files.durable import make_folder, publish
from sinks.files.formats import FORMATS
from sinks.files.layout import Run, by_partition, partition_of_draft, runs
from sinks.files.locks import Lock, days
from sinks.files.positions import noted_positions
from sinks.source import Record, TopicPartition
from sinks.tables import TABLE_OF, tables_by_topic
from streams.contract.topics import Topic
from streams.program.file_names import DAYS, parse_name


class FileSink:
    """
    Implements `Sink` over one folder: every row in exactly one file, per partition and day.

    Rows below the position of their partition are in a file already, and left out. FatalError when the folder cannot be
    created or written to at the start.
    """

    name = "files"

    def __init__(
        self, root: Path, file_format: str, topic_prefix: str, table_of: Mapping[Topic, str] = TABLE_OF
    ) -> None:
        self._root = root
        self._format = file_format
        self._tables = tables_by_topic(topic_prefix, table_of)
        self._locks: dict[TopicPartition, Lock] = {}
        self._next: dict[TopicPartition, int] = {}
        self._giving_up = threading.Lock()
        try:
            for table in self._tables.values():
                (root / table).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FatalError(f"SINKS_FILES_ROOT={root}: {error.strerror}") from error

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Take the locks that are free. Their partitions begin after the furthest file."""
        try:
            locked = [partition for partition in partitions if self._lock(partition).acquire()]
            for topic, group in groupby(sorted(locked), key=lambda partition: partition.topic):
                numbers = {partition.partition for partition in group}
                folder = self._root / self._tables[topic]
                with days(folder):
                    found = self._tidy(folder, numbers)
                self._next.update({TopicPartition(topic, number): found.get(number, 0) for number in numbers})
        except OSError as error:
            raise RetryableError(f"{error.filename or self._root}: {error.strerror}") from error
        return {partition: self._next[partition] or None for partition in locked}

    def release(self, partitions: Iterable[TopicPartition]) -> None:
        """Release the locks; a file that is being written anew is waited for."""
        with self._giving_up:
            for partition in partitions:
                self._lock(partition).release()
                self._next.pop(partition, None)

    @property
    def holding(self) -> list[TopicPartition]:
        """Return the partitions that this process holds; for any thread."""
        return sorted(self._next.copy())

    @contextmanager
    def held(self, partition: TopicPartition) -> Iterator[bool]:
        """Tell whether the partition is held, and keep it from being released meanwhile; for any thread."""
        with self._giving_up:
            yield partition in self._next

    def write(self, table: str, rows: Sequence[Record]) -> None:
        """Write a file for each run of rows."""
        for partition, run in self._runs(rows):
            try:
                content = FORMATS[self._format](table, run.rows)
                with days(self._root / table):
                    self._publish(self._root / table / run.folder, run.name(self._format), content)
            except OSError as error:
                raise RetryableError(f"{error.filename or self._root}: {error.strerror}") from error
            except MemoryError as error:
                raise RetryableError(f"no memory for a file of {len(run.rows)} rows of {table}") from error
            self._next[partition] = run.rows[-1].offset + 1

    def close(self) -> None:
        """Release every lock."""
        self.release(list(self._locks))

    def _lock(self, partition: TopicPartition) -> Lock:
        if partition not in self._locks:
            folder = self._root / self._tables[partition.topic]
            self._locks[partition] = Lock(folder, partition.partition)
        return self._locks[partition]

    def _tidy(self, folder: Path, numbers: set[int]) -> dict[int, int]:
        """Remove drafts of these partitions, and return the position of each partition that has files."""
        noted = noted_positions(folder)
        positions = {number: noted[number] for number in numbers & noted.keys()}
        for entry in _entries(folder):
            if partition_of_draft(entry.name) in numbers:
                Path(entry.path).unlink(missing_ok=True)
            elif (name := parse_name(entry.name)) is not None and name.partition in numbers:
                positions[name.partition] = max(name.position, positions.get(name.partition, 0))
        return positions

    def _runs(self, rows: Sequence[Record]) -> Iterator[tuple[TopicPartition, Run]]:
        for partition, group in by_partition(rows):
            written = self._next[partition]
            for run in runs([row for row in group if row.offset >= written]):
                yield partition, run

    def _publish(self, folder: Path, name: str, content: bytes) -> None:
        """Make the file appear, whole and durable. A write that fails leaves no draft."""
        make_folder(folder)
        publish(folder, name, content)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the files in the folders of days; one that is removed meanwhile has none."""
    for day in folder.glob(DAYS):
        with suppress(FileNotFoundError):
            yield from os.scandir(day)
