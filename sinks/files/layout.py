"""
Rows cut into the files that they are written to, and the drafts of these. Pure.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from operator import attrgetter
from typing import Final

from sinks.source import Record, TopicPartition
from streams.program.file_names import SUFFIXES

_PARTITION_OF: Final = attrgetter("topic", "partition")
_DRAFT: Final = re.compile(r"\.(\d+)-\d+-\d+\.(?:parquet|ndjson\.gz)\.tmp")


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive records of one partition, all of one day, in the order of their offsets."""

    partition: int
    day: date
    rows: Sequence[Record]

    @property
    def folder(self) -> str:
        """Return the name of the day's folder."""
        return f"date={self.day.isoformat()}"

    def name(self, file_format: str) -> str:
        """Return the name of the run's file."""
        return f"{self.partition}-{self.rows[0].offset}-{self.rows[-1].offset}.{SUFFIXES[file_format]}"


def by_partition(rows: Iterable[Record]) -> Iterator[tuple[TopicPartition, Iterator[Record]]]:
    """Yield the rows of each partition, which come together."""
    return ((TopicPartition(*key), group) for key, group in groupby(rows, key=_PARTITION_OF))


def runs(rows: Iterable[Record]) -> Iterator[Run]:
    """
    Cut rows of one partition into runs, by the day (UTC) of their Kafka timestamps.

    Clocks that jump over midnight and back make short runs: a file never has two days, and no two files overlap.
    """
    # By day numbers: a date for every row would take ten times as long.
    for day, group in groupby(rows, key=lambda row: row.timestamp // 86_400_000):
        found = list(group)
        yield Run(found[0].partition, datetime.fromtimestamp(day * 86_400, UTC).date(), found)


def draft_name(name: str) -> str:
    """Return the name of a file's draft, which no reader's pattern matches."""
    return f".{name}.tmp"


def partition_of_draft(name: str) -> int | None:
    """Return the partition of a draft; None for any other name."""
    match = _DRAFT.fullmatch(name)
    return int(match[1]) if match else None
