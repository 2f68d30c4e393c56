"""
Reading the archive: the files of `raw_callbacks` that `routee-sinks files` writes, as Kafka had the records.

Programs that do not write files read them through this alone. A file's name tells the records in it
(`{partition}-{first offset}-{last offset}`), and no two files of a partition overlap.
"""

import gzip
import re
import zlib
from base64 import b64decode
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

TABLE: Final = "raw_callbacks"
_NAME: Final = re.compile(r"(\d+)-(\d+)-(\d+)\.(parquet|ndjson\.gz)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_UNREADABLE: Final = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zlib.error)
"""Raised by the readers of both formats for a damaged file."""


class ArchiveError(Exception):
    """The folder has no archive, or a file of it cannot be read; one line for people."""


class Archived(NamedTuple):
    """A record of `callbacks.raw`."""

    partition: int
    offset: int
    timestamp_ms: int
    """Kafka's time of the record."""
    value: bytes | None


class ArchiveFile(NamedTuple):
    """A file of the archive, by its name."""

    path: Path
    partition: int
    first: int
    last: int


def archive_files(root: Path) -> list[ArchiveFile]:
    """Return the files below a root of files, by partition and offset; ArchiveError when there is no archive."""
    folder = root / TABLE
    if not folder.is_dir():
        raise ArchiveError(f"{root}: it has no folder {TABLE}: an archive is written with SINKS_TABLES=…,{TABLE}")
    found = [
        ArchiveFile(path, int(match[1]), int(match[2]), int(match[3]))
        for path in folder.glob("date=*/*")
        if (match := _NAME.fullmatch(path.name))
    ]
    return sorted(found, key=lambda file: (file.partition, file.first))


def records_of(file: ArchiveFile) -> Iterator[Archived]:
    """Yield the records of a file, in the order of their offsets; ArchiveError."""
    try:
        rows = _parquet_rows(file.path) if file.path.suffix == ".parquet" else _ndjson_rows(file.path)
        yield from sorted(rows, key=lambda row: row.offset)
    except _UNREADABLE as error:
        told = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise ArchiveError(f"{file.path} cannot be read: {told}") from error


def values_at(root: Path, places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes | None]:
    """Return the values of the records at these places, [partition, offset], as far as the archive has them."""
    wanted = sorted(set(places))
    found: dict[tuple[int, int], bytes | None] = {}
    for file in archive_files(root) if wanted else ():
        of_file = {place for place in wanted if place[0] == file.partition and file.first <= place[1] <= file.last}
        if of_file:
            read = ((record.partition, record.offset, record.value) for record in records_of(file))
            found |= {(number, offset): value for number, offset, value in read if (number, offset) in of_file}
    return found


def _parquet_rows(path: Path) -> list[Archived]:
    # Slow to import, and most commands need none.
    from pyarrow import ArrowException  # noqa: PLC0415
    from pyarrow.parquet import read_table  # noqa: PLC0415

    try:
        table = read_table(path, columns=["topic_partition", "topic_offset", "timestamp", "value"], partitioning=None)
    except ArrowException as error:  # not all of them are a ValueError
        raise ValueError(str(error)) from error
    columns = [table.column(name).to_pylist() for name in table.column_names]
    return [
        Archived(partition, offset, (at - _EPOCH) // _MS, value)
        for partition, offset, at, value in zip(*columns, strict=True)
    ]


def _ndjson_rows(path: Path) -> list[Archived]:
    return [_of_line(orjson.loads(line)) for line in gzip.decompress(path.read_bytes()).splitlines()]


def _of_line(row: dict[str, Any]) -> Archived:
    text, base64 = row["value"], row["value_base64"]
    value = text.encode() if text is not None else None if base64 is None else b64decode(base64)
    at = (datetime.fromisoformat(row["timestamp"]) - _EPOCH) // _MS
    return Archived(row["topic_partition"], row["topic_offset"], at, value)
