"""
Whether files can be those of a topic, by what both have: offsets, and the last record that Kafka still has of a file.
"""

import gzip
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby, pairwise
from typing import Any, Final, cast

import orjson
import pyarrow.compute

from sinks.blanking import PERSONAL
from sinks.errors import PermanentError, PositionError
from sinks.files.contents import UNREADABLE_CONTENT, offsets_in, parquet_table
from sinks.files.formats import FORMATS
from sinks.files.layout import DAYS, Chained, Name, is_of_rows, parse_chained, parse_name
from sinks.files.objects import AnyPlace, ObjectPath, Place, glob
from sinks.raw_callbacks import from_text, is_erased
from sinks.refused_bodies import CHANGED
from sinks.source import Lookup, Record, TopicPartition
from sinks.tables import RAW_CALLBACKS_TABLE

_OFFSET: Final = "topic_offset"
_WHAT_TO_DO: Final = "set SINKS_FILES_ROOT to another place, and leave this one to readers"
_FURTHER_DAYS: Final = 2
_UNREADABLE: Final = (*UNREADABLE_CONTENT, OSError)

Row = dict[str, Any]


def files_with_rows(folder: AnyPlace) -> Iterator[AnyPlace]:
    """Yield the whole files of a table, in any order."""
    return (file for file in glob(folder, f"{DAYS}*") if is_of_rows(file.name))


def whole_files(folder: AnyPlace) -> Iterator[tuple[AnyPlace, Name]]:
    """
    Yield the whole files of a table with their names, in any order.

    An object ends where the next one of its partition begins; the last one of each partition is read.
    UNREADABLE_CONTENT when it cannot be.
    """
    if isinstance(folder, ObjectPath):
        yield from cast("Iterator[tuple[AnyPlace, Name]]", _ended(folder))
        return
    for file in glob(folder, f"{DAYS}*"):
        if (name := parse_name(file.name)) is not None:
            yield file, name


def _ended(folder: ObjectPath) -> Iterator[tuple[ObjectPath, Name]]:
    for chain in chains(folder).values():
        for (file, name), (_, after) in pairwise(chain):
            yield file, name.ending(after.first - 1)
        file, name = chain[-1]
        yield file, name.ending(last_offset(file))


def chains(folder: ObjectPath) -> dict[int, list[tuple[ObjectPath, Chained]]]:
    """Return the objects of each partition, in the order of their offsets."""
    named = ((file, name) for file in folder.glob(f"{DAYS}*") if (name := parse_chained(file.name)) is not None)
    found = sorted(named, key=lambda one: (one[1], str(one[0])))
    return {number: [*group] for number, group in groupby(found, key=lambda one: one[1].partition)}


def newest(folder: ObjectPath, numbers: set[int]) -> dict[int, ObjectPath]:
    """
    Return the last object of each of these partitions that has one.

    Days are listed from the newest back, until each partition was found, and two further ones: days may be out of
    order. An object that lies further back is met by its name, which the next write would have.
    """
    found: dict[int, tuple[int, str, ObjectPath]] = {}
    further = _FURTHER_DAYS
    for day in sorted(folder.glob(DAYS), key=str, reverse=True):
        if numbers <= found.keys():
            if not further:
                break
            further -= 1
        for file in day.iterdir():
            if (name := parse_chained(file.name)) is not None and name.partition in numbers:
                place = (name.first, str(file), file)
                found[name.partition] = max(place, found.get(name.partition, place), key=lambda one: one[:2])
    return {number: file for number, (_, _, file) in found.items()}


def last_offset(file: ObjectPath) -> int:
    """Return the last offset of an object. UNREADABLE_CONTENT when it cannot be read."""
    offsets = offsets_in(file.read_bytes(), file.name)
    if not offsets:
        raise ValueError(f"{file} has no rows")
    return offsets[-1]


def last_files(folder: AnyPlace) -> dict[int, AnyPlace]:
    """
    Return the file with the furthest offsets of each partition.

    PositionError for a name of the other kind: a folder that was copied to a bucket, or a bucket's objects in a folder.
    """
    parse, is_bucket = (parse_chained, True) if isinstance(folder, ObjectPath) else (parse_name, False)
    found: dict[int, tuple[int, str, AnyPlace]] = {}
    for file in files_with_rows(folder):
        name = parse(file.name)
        if name is None:
            kinds = ("a folder", "an object store") if is_bucket else ("an object store", "a folder")
            raise PositionError(f"{file} has a name of {kinds[0]}, which is no position in {kinds[1]}: {_WHAT_TO_DO}")
        place = (name.last if isinstance(name, Name) else name.first, str(file), file)
        if name.partition not in found or place[:2] > found[name.partition][:2]:
            found[name.partition] = place
    return {partition: file for partition, (_, _, file) in sorted(found.items())}


def _name_of(file: Place) -> Name | None:
    chained = parse_chained(file.name)
    if chained is None or not isinstance(file, ObjectPath):
        return parse_name(file.name)
    return chained.ending(last_offset(file))


def misfit(files: Mapping[int, Place], table: str, topic: str, lookup: Lookup) -> str | None:
    """
    Return why files cannot be those of a topic, None when nothing speaks against it.

    `files` are the last of each partition. A record that both have decides. There may be none in common: compaction and
    retention delete records.
    """
    for number, file in files.items():
        try:
            name = _name_of(file)
        except _UNREADABLE as error:
            return f"partition {number}: {file} cannot be read: {type(error).__name__}"
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


def _difference(file: Place, name: Name, record: Record, table: str) -> str | None:
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
