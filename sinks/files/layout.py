"""
What the names of files say: pure. `{table}/date=2026-11-22/{partition}-{first offset}-{last offset}.parquet`.

The names are the committed position: whatever a file's name covers is written, and the next record of its partition is
the one after the furthest last offset. So files of a partition never overlap, and each appears whole or not at all.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Final

from sinks.source import Record

SUFFIXES: Final = {"parquet": "parquet", "ndjson": "ndjson.gz"}
_NAME: Final = re.compile(r"(\d+)-(\d+)-(\d+)\.(?:parquet|ndjson\.gz)")
_TEMPORARY: Final = re.compile(r"\.(\d+)-\d+-\d+\.(?:parquet|ndjson\.gz)\.tmp")


@dataclass(frozen=True, slots=True)
class Run:
    """Records of one partition and one day, in the order of their offsets, with no record of another day between."""

    partition: int
    day: date
    rows: Sequence[Record]

    @property
    def folder(self) -> str:
        """Return the name of the day's folder."""
        return f"date={self.day.isoformat()}"

    def name(self, file_format: str) -> str:
        """Return the name of its file."""
        return f"{self.partition}-{self.rows[0].offset}-{self.rows[-1].offset}.{SUFFIXES[file_format]}"


def day_of(record: Record) -> date:
    """Return the day, in UTC, of the record's Kafka timestamp."""
    return datetime.fromtimestamp(record.timestamp / 1000, UTC).date()


def runs(rows: Iterable[Record]) -> Iterator[Run]:
    """
    Cut rows of one partition into runs.

    Clocks that jump over midnight and back make short runs, never a file with two days or two overlapping files.
    """
    # Comparing day numbers is ten times cheaper than making dates, and this is done for every row.
    for day, group in groupby(rows, key=lambda row: row.timestamp // 86_400_000):
        found = list(group)
        yield Run(found[0].partition, datetime.fromtimestamp(day * 86_400, UTC).date(), found)


def temporary(name: str) -> str:
    """Return the name under which a file is written before it is whole; no reader's pattern matches it."""
    return f".{name}.tmp"


def position_of(name: str) -> tuple[int, int] | None:
    """Return (partition, offset after the last) of a whole file's name; None for any other name."""
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[3]) + 1) if match else None


def partition_of_temporary(name: str) -> int | None:
    """Return the partition whose owner left this temporary file behind; None for any other name."""
    match = _TEMPORARY.fullmatch(name)
    return int(match[1]) if match else None
