"""
Whether files can be those of a topic, by what both have: offsets, and the last record that Kafka still has of a file.
"""

import gzip
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import orjson
import pyarrow.compute

from sinks.blanking import PERSONAL
from sinks.errors import PermanentError, PositionError
from sinks.files.contents import UNREADABLE_CONTENT, offsets_in, parquet_table
from sinks.files.formats import FORMATS
from sinks.raw_callbacks import from_text, is_erased
from sinks.refused_bodies import CHANGED
from sinks.source import Lookup, Record, TopicPartition
from sinks.tables import RAW_CALLBACKS_TABLE
from streams.program.file_names import DAYS, Chained, Name, is_of_rows, parse_chained, parse_name
from streams.program.joined import current_objects, named_objects
from streams.program.objects import AnyPlace, ObjectPath, Place, glob

OFFSET: Final = "topic_offset"
_WHAT_TO_DO: Final = "set SINKS_FILES_ROOT to another place, and leave this one to readers"
_FURTHER_DAYS: Final = 2
_UNREADABLE: Final = (*UNREADABLE_CONTENT, OSError)

Row = dict[str, Any]


def files_with_rows(folder: AnyPlace) -> Iterator[AnyPlace]:
    """Yield the whole files of a table, in any order."""
    return (file for file in glob(folder, f"{DAYS}*") if is_of_rows(file.name))


def named(file: AnyPlace) -> Name | Chained | None:
    """Return what the name of a file with rows tells, None for any other name."""
    return parse_name(file.name) or parse_chained(file.name)


def files_of(folder: AnyPlace, partition: int | None = None) -> list[AnyPlace]:
    """Return the files of a table, of one partition or of all, in the order of their names."""
    found = ((file, named(file)) for file in files_with_rows(folder))
    return sorted((file for file, name in found if name and partition in {None, name.partition}), key=str)


def whole_files(folder: Path) -> Iterator[tuple[Path, Name]]:
    """Yield the whole files of a table with their names, in any order."""
    for file in folder.glob(f"{DAYS}*"):
        if (name := parse_name(file.name)) is not None:
            yield file, name


def newest(folder: ObjectPath, numbers: Collection[int]) -> dict[int, ObjectPath]:
    """
    Return the last object of each of these partitions that has one.

    Days are listed from the newest back, until each partition was found, and two further ones: days may be out of
    order. An object that lies further back is met by its name, which the next write would have. Of partitions that
    were not found in three days, one request each tells of a further day whether there is an object, up to the first.
    """
    found: dict[int, tuple[tuple[int, str], ObjectPath]] = {}
    further = _FURTHER_DAYS
    for at, day in enumerate(sorted(folder.glob(DAYS), key=str, reverse=True)):
        missing = {*numbers} - found.keys()
        if not missing:
            if not further:
                break
            further -= 1
        elif at > _FURTHER_DAYS and not any(has_object(day, number) for number in missing):
            continue
        for number, file in _last_of_day(day, numbers, is_further=not missing).items():
            place = place_of(file)
            if number not in found or place > found[number][0]:
                found[number] = place, file
    return {number: file for number, (_, file) in found.items()}


def has_object(day: ObjectPath, partition: int) -> bool:
    """Return whether a partition has an object in a day: in one request, however many there are."""
    file = next(day.below_from(f"{partition}-"), None)
    return file is not None and file.parent == day and file.name.startswith(f"{partition}-")


def _last_of_day(day: ObjectPath, numbers: Collection[int], *, is_further: bool) -> dict[int, ObjectPath]:
    """Return the last object of each partition in a day; that of the manifest, where it is looked at besides."""
    named = named_objects(day) if is_further else None
    files = current_objects(day) if named is None else [day / name for name in named]
    found: dict[int, ObjectPath] = {}
    for file in files:
        name = parse_chained(file.name)
        if name is not None and name.partition in numbers:
            known = found.setdefault(name.partition, file)
            found[name.partition] = max(known, file, key=place_of)
    return found


def place_of(file: ObjectPath) -> tuple[int, str]:
    """Return by what the objects of a partition are in order."""
    name = parse_chained(file.name)
    return (-1 if name is None else name.furthest), str(file)


def last_offset(file: ObjectPath) -> int:
    """Return the last offset of an object. UNREADABLE_CONTENT when it cannot be read."""
    name = parse_chained(file.name)
    if name is not None and name.last is not None:
        return name.last
    offsets = offsets_in(file.read_bytes(), file.name)
    if not offsets:
        raise ValueError(f"{file} has no rows")
    return offsets[-1]


def last_files(folder: AnyPlace) -> dict[int, AnyPlace]:
    """
    Return the file with the furthest offsets of each partition; in a bucket, that has one in the newest three days.

    PositionError for a name of the other kind: a folder that was copied to a bucket, or a bucket's objects in a folder.
    """
    if isinstance(folder, ObjectPath):
        return cast("dict[int, AnyPlace]", _last_objects(folder))
    found: dict[int, tuple[int, str, AnyPlace]] = {}
    for file in files_with_rows(folder):
        name = parse_name(file.name)
        if name is None:
            raise _of_other_kind(file, "an object store", "a folder")
        place = (name.last, str(file), file)
        if name.partition not in found or place[:2] > found[name.partition][:2]:
            found[name.partition] = place
    return {partition: file for partition, (_, _, file) in sorted(found.items())}


def _last_objects(folder: ObjectPath) -> dict[int, ObjectPath]:
    found: dict[int, ObjectPath] = {}
    for day in sorted(folder.glob(DAYS), key=str, reverse=True)[: 1 + _FURTHER_DAYS]:
        for file in day.iterdir():
            if parse_name(file.name) is not None:
                raise _of_other_kind(file, "a folder", "an object store")
        for file in current_objects(day):
            if (name := parse_chained(file.name)) is not None:
                found[name.partition] = max(found.get(name.partition, file), file, key=place_of)
    return dict(sorted(found.items()))


def _of_other_kind(file: Place, kind: str, here: str) -> PositionError:
    return PositionError(f"{file} has a name of {kind}, which is no position in {here}: {_WHAT_TO_DO}")


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
    index = pyarrow.compute.index(rows[OFFSET], offset).as_py()
    return None if index < 0 else rows.slice(index, 1).to_pylist()[0]


def _from_ndjson(content: bytes, offset: int) -> Row | None:
    for line in reversed(gzip.decompress(content).splitlines()):
        row: Row = orjson.loads(line)
        if row[OFFSET] <= offset:
            return row if row[OFFSET] == offset else None
    return None


_READERS: Final[dict[str, Callable[[bytes, int], Row | None]]] = {"parquet": _from_parquet, "ndjson": _from_ndjson}
