"""
Reading the archive: the files of `raw_callbacks` that `routee-sinks files` writes, as Kafka had the records.

Programs that do not write files read them through this alone, from a folder or from a bucket. No two files of a
partition overlap: of objects that a compaction joins, those count that have each row once (`file_names.current`). A
file that goes away meanwhile was joined: the rest of its partition is listed again.
"""

import gzip
import io
import zlib
from base64 import b64decode
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from streams.program.file_names import DAYS, parse_chained, parse_name
from streams.program.joined import current_objects
from streams.program.objects import (
    BUCKET_FORM,
    ObjectPath,
    Place,
    UnusableStoreError,
    glob,
    is_address,
    is_bucket,
    open_place,
)

TABLE: Final = "raw_callbacks"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_UNREADABLE: Final = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zlib.error)
"""Raised by the readers of both formats for a damaged file."""
_TRIES: Final = 10


class ArchiveError(Exception):
    """There is no archive, or a file of it cannot be read; one line for people."""


class Archived(NamedTuple):
    """A record of `callbacks.raw`."""

    partition: int
    offset: int
    timestamp_ms: int
    """Kafka's time of the record."""
    value: bytes | None


class ArchiveFile(NamedTuple):
    """A file of the archive, by its name."""

    path: Place
    partition: int
    first: int
    last: float
    """The last offset; of an object whose name does not tell it, the one before the next object, or infinity."""


def archive_problem(root: str) -> str | None:
    """Return why this names no archive, None when it may."""
    if is_address(root):
        return None if is_bucket(root) else f"{root}: a folder, or {BUCKET_FORM}; other stores are not tested"
    return None if Path(root).is_dir() else f"{root}: there is no such folder"


def open_archive(root: str) -> Place:
    """Return the root of the files, a folder or a bucket; ArchiveError when the bucket cannot be opened."""
    try:
        return open_place(root if is_address(root) else Path(root))
    except UnusableStoreError as error:
        raise ArchiveError(f"{root}: {error}") from error


def archive_partitions(root: Place) -> list[int]:
    """Return the partitions that have files, in order; ArchiveError when there is no archive."""
    return sorted({file.partition for file in _found(root, None)})


def archive_files(root: Place, partition: int | None = None) -> list[ArchiveFile]:
    """
    Return the files below a root of files, by partition and offset, of one partition or of all.

    ArchiveError when there is no archive.
    """
    return _in_order(_found(root, partition))


def _found(root: Place, partition: int | None) -> Iterator[ArchiveFile]:
    folder = root / TABLE
    try:
        if not folder.is_dir():
            raise ArchiveError(f"{root}: it has no folder {TABLE}: an archive is written with SINKS_TABLES=…,{TABLE}")
        yield from _objects(folder, partition) if isinstance(folder, ObjectPath) else _files(folder, partition)
    except OSError as error:
        raise ArchiveError(f"{error.filename or root} cannot be read: {error.strerror}") from error


def _files(folder: Path, partition: int | None) -> Iterator[ArchiveFile]:
    for path in folder.glob(f"{DAYS}*"):
        name = parse_name(path.name)
        if name is not None and partition in {None, name.partition}:
            yield ArchiveFile(path, name.partition, name.first, name.last)


def _in_order(files: Iterable[ArchiveFile]) -> list[ArchiveFile]:
    """Return files in their order; the last offset of an object is the one before the next."""
    found = sorted(files, key=lambda file: (file.partition, file.first, str(file.path)))
    for at, (file, after) in enumerate(pairwise([*found])):
        if file.last == inf and file.partition == after.partition:
            found[at] = file._replace(last=after.first - 1)
    return found


def _objects(folder: ObjectPath, partition: int | None) -> Iterator[ArchiveFile]:
    for day in glob(folder, DAYS):
        for file in current_objects(day):
            name = parse_chained(file.name)
            if name is not None and partition in {None, name.partition}:
                yield ArchiveFile(file, name.partition, name.first, inf if name.last is None else name.last)


def records_of(file: ArchiveFile) -> Iterator[Archived]:
    """Yield the records of a file, in the order of their offsets; ArchiveError."""
    try:
        content = file.path.read_bytes()
        rows = _parquet_rows(content) if file.path.name.endswith(".parquet") else _ndjson_rows(content)
        rows.sort(key=lambda row: row.offset)
        is_whole = bool(rows) and file.first <= rows[0].offset and rows[-1].offset <= file.last
        if not is_whole or {row.partition for row in rows} != {file.partition}:
            raise ArchiveError(f"{file.path} cannot be read: it has other rows than its name tells")
        yield from rows
    except FileNotFoundError:
        raise
    except _UNREADABLE as error:
        told = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise ArchiveError(f"{file.path} cannot be read: {told}") from error


def records_from(root: Place, partition: int) -> Iterator[Archived]:
    """
    Yield the records of a partition, in the order of their offsets, also while files are joined.

    ArchiveError, also when records go away before they are read, as they do at the end of their retention.
    """
    position, tries, missed = 0, 0, None
    while True:
        files = [file for file in archive_files(root, partition) if file.last >= position]
        if missed is not None and not any(file.first <= missed <= file.last for file in files):
            raise ArchiveError(f"{root}: partition {partition} has lost offset {missed} meanwhile: begin again")
        wanted = position
        try:
            for file in files:
                wanted = max(position, file.first)
                for record in records_of(file):
                    if record.offset >= position:
                        yield record
                        position, tries = record.offset + 1, 0
        except FileNotFoundError as error:
            tries, missed = tries + 1, wanted
            if tries > _TRIES:
                raise ArchiveError(f"{error.filename}: it goes away again and again") from error
        else:
            return


def values_at(root: Place, places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes | None]:
    """Return the values of the records at these places, [partition, offset], as far as the archive has them."""
    left = set(places)
    found: dict[tuple[int, int], bytes | None] = {}
    tries = 0
    while left:
        try:
            for file in archive_files(root):
                of_file = {one for one in left if one[0] == file.partition and file.first <= one[1] <= file.last}
                if of_file:
                    read = ((record.partition, record.offset, record.value) for record in records_of(file))
                    found |= {(number, offset): value for number, offset, value in read if (number, offset) in of_file}
                    left -= of_file
        except FileNotFoundError as error:
            tries += 1
            if tries > _TRIES:
                raise ArchiveError(f"{error.filename}: it goes away again and again") from error
        else:
            break
    return found


def _parquet_rows(content: bytes) -> list[Archived]:
    # Slow to import, and most commands need none.
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415

    try:
        table = ParquetFile(io.BytesIO(content)).read(columns=["topic_partition", "topic_offset", "timestamp", "value"])
        # As times they would have Arrow import pandas, where that is installed.
        times = table.column("timestamp").cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64())
    except pa.ArrowException as error:  # not all of them are a ValueError
        raise ValueError(str(error)) from error
    columns = [table.column("topic_partition"), table.column("topic_offset"), times, table.column("value")]
    return [Archived(*row) for row in zip(*(column.to_pylist() for column in columns), strict=True)]


def _ndjson_rows(content: bytes) -> list[Archived]:
    return [_of_line(orjson.loads(line)) for line in gzip.decompress(content).splitlines()]


def _of_line(row: dict[str, Any]) -> Archived:
    text, base64 = row["value"], row["value_base64"]
    value = text.encode() if text is not None else None if base64 is None else b64decode(base64)
    at = (datetime.fromisoformat(row["timestamp"]) - _EPOCH) // _MS
    return Archived(row["topic_partition"], row["topic_offset"], at, value)
