"""
Whether files can be those of a topic, by what both have: offsets, and the last record that Kafka still has of a file.
"""

import gzip
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow.compute

from sinks.blanking import PERSONAL
from sinks.errors import PermanentError
from sinks.files.contents import UNREADABLE_CONTENT, parquet_table
from sinks.files.formats import FORMATS
from sinks.files.layout import DAYS, Name, parse_name
from sinks.raw_callbacks import from_text, is_erased
from sinks.refused_bodies import CHANGED
from sinks.source import Lookup, Record, TopicPartition
from sinks.tables import RAW_CALLBACKS_TABLE

_OFFSET: Final = "topic_offset"
_UNREADABLE: Final = (*UNREADABLE_CONTENT, OSError)

Row = dict[str, Any]


def whole_files(folder: Path) -> Iterator[tuple[Path, Name]]:
    """Yield the whole files of a table with their names, in any order."""
    for file in folder.glob(f"{DAYS}*"):
        if (name := parse_name(file.name)) is not None:
            yield file, name


def last_files(folder: Path) -> dict[int, Path]:
    """Return the file with the furthest offsets of each partition."""
    found: dict[int, tuple[int, Path]] = {}
    for file, name in whole_files(folder):
        found[name.partition] = max((name.last, file), found.get(name.partition, (-1, file)))
    return {partition: file for partition, (_, file) in sorted(found.items())}


def misfit(files: Mapping[int, Path], table: str, topic: str, lookup: Lookup) -> str | None:
    """
    Return why files cannot be those of a topic, None when nothing speaks against it.

    `files` are the last of each partition. A record that both have decides. There may be none in common: compaction and
    retention delete records.
    """
    for number, file in files.items():
        name = parse_name(file.name)
        bounds = lookup.bounds(TopicPartition(topic, number))
        if name is None or bounds is None:
            return f"{file.name} is of partition {number}, which the topic does not have"
        oldest, end = bounds
        if name.position > end:
            return f"partition {number}: written up to offset {name.position}, but the topic ends at {end}"
        if name.last < oldest:
            continue
        record = lookup.latest(TopicPartition(topic, number), name.first, name.last)
        if record is not None and (problem := _difference(file, name, record, table)):
            return problem
    return None


def _difference(file: Path, name: Name, record: Record, table: str) -> str | None:
    """Return why a file cannot have been made from a record that has one of its offsets."""
    where = f"partition {name.partition}, offset {record.offset}"
    try:
        written = _READERS[name.file_format](file.read_bytes(), record.offset)
    except FileNotFoundError:
        return None  # moved to an archive in the meantime
    except _UNREADABLE as error:
        return f"{where}: {file} cannot be read: {type(error).__name__}"
    if written is None:
        # Records without a row are in no file, but a name ends with a row.
        return f"{where}: the row is missing in {file}" if record.offset == name.last else None
    try:
        expected = _READERS[name.file_format](FORMATS[name.file_format](table, [record]), record.offset) or {}
    except PermanentError:
        expected = {}
    # Another version may have written other columns, and another setting less of a refused body.
    shared = (written.keys() & expected.keys()) - {*CHANGED} - _erased(table, written)
    if shared and all(written[column] == expected[column] for column in shared):
        return None
    return f"{where}: the row in {file} is not the record in Kafka"


def _erased(table: str, written: Row) -> set[str]:
    """Return the columns that may have lost their value, or a part of it, to an erasure."""
    if table == RAW_CALLBACKS_TABLE:
        value = written["value"]
        told = value if isinstance(value, bytes) else from_text(value, written.get("value_base64"))
        return {"value", "value_base64"} if is_erased(told) else set()
    return {column for column in PERSONAL.get(table, ()) if written.get(column) is None}


def _from_parquet(content: bytes, offset: int) -> Row | None:
    rows = parquet_table(content)
    index = pyarrow.compute.index(rows[_OFFSET], offset).as_py()
    return None if index < 0 else rows.slice(index, 1).to_pylist()[0]


def _from_ndjson(content: bytes, offset: int) -> Row | None:
    for line in reversed(gzip.decompress(content).splitlines()):
        row: Row = orjson.loads(line)
        if row[_OFFSET] <= offset:
            return row if row[_OFFSET] == offset else None
    return None


_READERS: Final[dict[str, Callable[[bytes, int], Row | None]]] = {"parquet": _from_parquet, "ndjson": _from_ndjson}
