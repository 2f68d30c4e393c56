"""
The names of files: `{table}/date=2026-11-22/{partition}-{first offset}-{last offset}.parquet`. Pure.

The names are the committed position: the offsets in a file's name are written, and its partition goes on after the
highest last offset. So files of a partition never overlap, and each appears whole or not at all.

In an object store a name has no last offset, `{partition}-{position}.parquet`: it follows from the position alone, the
offset after the last of the object before (0 for the first one). So two writers of one position have one name for it,
and the store lets one of them write it. The objects of a partition are a chain: each begins where the one before ends.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Final, NamedTuple

from sinks.source import Record

DAYS: Final = "date=*/"
"""The folders of a table's days, as a pattern."""
SUFFIXES: Final = {"parquet": "parquet", "ndjson": "ndjson.gz"}
_FORMATS: Final = {suffix: file_format for file_format, suffix in SUFFIXES.items()}
_NAME: Final = re.compile(r"(\d+)-(\d+)-(\d+)\.(parquet|ndjson\.gz)")
_CHAINED: Final = re.compile(r"(\d+)-(\d+)\.(parquet|ndjson\.gz)")
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


def runs(rows: Iterable[Record]) -> Iterator[Run]:
    """
    Cut rows of one partition into runs, by the day (UTC) of their Kafka timestamps.

    Clocks that jump over midnight and back make short runs: a file never has two days, and no two files overlap.
    """
    # By day numbers: a date for every row would take ten times as long.
    for day, group in groupby(rows, key=lambda row: row.timestamp // 86_400_000):
        found = list(group)
        yield Run(found[0].partition, datetime.fromtimestamp(day * 86_400, UTC).date(), found)


def day_of(folder: str) -> date | None:
    """Return the day of a folder, None for any other name."""
    try:
        return date.fromisoformat(folder.removeprefix("date="))
    except ValueError:
        return None


def draft_name(name: str) -> str:
    """Return the name of a file's draft, which no reader's pattern matches."""
    return f".{name}.tmp"


class Name(NamedTuple):
    """The name of a whole file."""

    partition: int
    first: int
    last: int
    file_format: str

    @property
    def position(self) -> int:
        """Return the offset after the last."""
        return self.last + 1


def parse_name(name: str) -> Name | None:
    """Return the parts of the name of a whole file; None for any other name."""
    match = _NAME.fullmatch(name)
    return Name(int(match[1]), int(match[2]), int(match[3]), _FORMATS[match[4]]) if match else None


class Chained(NamedTuple):
    """The name of an object: it ends before the next one of its partition, or with its own last row."""

    partition: int
    first: int
    file_format: str

    def ending(self, last: int) -> Name:
        """Return the name that a file of these rows has."""
        return Name(self.partition, self.first, last, self.file_format)


def chained_name(partition: int, position: int, file_format: str) -> str:
    """Return the name of the object with the rows from a position on."""
    return f"{partition}-{position}.{SUFFIXES[file_format]}"


def parse_chained(name: str) -> Chained | None:
    """Return the parts of the name of an object; None for any other name."""
    match = _CHAINED.fullmatch(name)
    return Chained(int(match[1]), int(match[2]), _FORMATS[match[3]]) if match else None


def is_of_rows(name: str) -> bool:
    """Return whether a name is that of a file or of an object with rows."""
    return parse_name(name) is not None or parse_chained(name) is not None


def partition_of_draft(name: str) -> int | None:
    """Return the partition of a draft; None for any other name."""
    match = _DRAFT.fullmatch(name)
    return int(match[1]) if match else None
