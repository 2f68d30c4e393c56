"""
The data of people in the content of one file: found, counted, taken out.
"""

import gzip
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from sinks.blanking import DECIDING, PERSONAL, RECIPIENT, blanked_raw, blanks, is_covered
from sinks.errors import FatalError
from sinks.files.archive import records_in
from sinks.files.contents import UNREADABLE_CONTENT, decoding
from sinks.files.formats import FORMATS, packed, to_parquet
from sinks.files.proof import OFFSET, Row
from sinks.raw_callbacks import callbacks_of, erased_of, row_of
from sinks.tables import RAW_CALLBACKS_TABLE
from streams.contract.erasures import Erasures
from streams.program.file_names import SUFFIXES
from streams.program.objects import Place

IsWanted = Callable[[Row], bool]
"""Tells by its deciding fields whether a row is wanted."""
MayBeWanted = Callable[[str], bool]
"""Tells whether a row of that recipient can be wanted."""


def erased_content(content: bytes, table: str, file_format: str, erasures: Erasures) -> tuple[bytes, int]:
    """Return the content of a file without the data of erased people, and how many rows or callbacks had some."""
    if table == RAW_CALLBACKS_TABLE:
        return _erased_archive(content, file_format, erasures)
    erase = _erased_parquet if file_format == "parquet" else _erased_ndjson
    return erase(
        content,
        table,
        lambda row: is_covered(table, row, erasures),
        lambda recipient: erasures.erased_at(recipient) is not None,
    )


def _erased_archive(content: bytes, file_format: str, erasures: Erasures) -> tuple[bytes, int]:
    """Return a file of raw records without the data of erased people, and how many callbacks had some."""
    blanked = [blanked_raw(record, erasures) for record in records_in(content, file_format)]
    count = sum(number for _, number in blanked)
    return (FORMATS[file_format](RAW_CALLBACKS_TABLE, [record for record, _ in blanked]) if count else content), count


def _erased_parquet(content: bytes, table: str, is_wanted: IsWanted, may_be: MayBeWanted) -> tuple[bytes, int]:
    """Return a file without the data of the wanted rows, and how many these are."""
    with decoding():
        file = pyarrow.parquet.ParquetFile(io.BytesIO(content))
        wanted = _wanted_of_parquet(file, table, is_wanted, may_be)
        if not wanted:
            return content, 0
        data = file.read()
    mask = pa.array([number in wanted for number in range(data.num_rows)])
    for column in blanks(table, data.column_names):
        index = data.schema.get_field_index(column)
        field = data.schema.field(index)
        data = data.set_column(index, field, pc.if_else(mask, pa.scalar(None, field.type), data.column(index)))
    return to_parquet(data), len(wanted)


def _wanted_of_parquet(
    file: pyarrow.parquet.ParquetFile, table: str, is_wanted: IsWanted, may_be: MayBeWanted
) -> dict[int, Row]:
    """Return the wanted rows by their numbers, with their deciding fields."""
    names = [name for name in DECIDING[table] if name in file.schema_arrow.names]
    data = file.read(columns=names)
    numbers = pa.array(range(data.num_rows), pa.int64())
    if RECIPIENT in names:
        recipients = [one for one in pc.unique(data[RECIPIENT]).to_pylist() if one is not None and may_be(one)]
        if not recipients:
            return {}
        some = pc.is_in(data[RECIPIENT], pa.array(recipients, data[RECIPIENT].type))
        data, numbers = data.filter(some), numbers.filter(some.combine_chunks())
    return {number: row for number, row in zip(numbers.to_pylist(), data.to_pylist(), strict=True) if is_wanted(row)}


def _erased_ndjson(content: bytes, table: str, is_wanted: IsWanted, _: MayBeWanted) -> tuple[bytes, int]:
    """Do the same for a file of lines."""
    lines = gzip.decompress(content).splitlines()
    count = 0
    for number, line in enumerate(lines):
        row = orjson.loads(line)
        if is_wanted(row):
            lines[number] = orjson.dumps(row | blanks(table, row))
            count += 1
    return packed(lines), count


def rows_in(file: Place, content: bytes, table: str, is_wanted: IsWanted, may_be: MayBeWanted) -> Iterator[Row]:
    """Yield the wanted rows of a file, with all their columns."""
    is_parquet = file.name.endswith(SUFFIXES["parquet"])
    with _naming(file):
        if table == RAW_CALLBACKS_TABLE:
            archived = records_in(content, "parquet" if is_parquet else "ndjson")
            rows = (row_of(record, callback) for record in archived for callback in callbacks_of(record.value))
            yield from filter(is_wanted, rows)
        elif is_parquet:
            yield from _rows_of_parquet(content, table, is_wanted, may_be)
        else:
            yield from filter(is_wanted, map(orjson.loads, gzip.decompress(content).splitlines()))


def _rows_of_parquet(content: bytes, table: str, is_wanted: IsWanted, may_be: MayBeWanted) -> list[Row]:
    with decoding():
        file = pyarrow.parquet.ParquetFile(io.BytesIO(content))
        wanted = _wanted_of_parquet(file, table, is_wanted, may_be)
        rows: list[Row] = file.read().take(pa.array(list(wanted))).to_pylist() if wanted else []
    return rows


def without_data_in(table: str, file: Place, content: bytes) -> Iterator[tuple[int, int]]:
    """Yield the offsets of rows without data of a person, each with 1; of raw callbacks, with how many lost theirs."""
    is_parquet = file.name.endswith(SUFFIXES["parquet"])
    with _naming(file):
        if table == RAW_CALLBACKS_TABLE:
            records = records_in(content, "parquet" if is_parquet else "ndjson")
            yield from ((record.offset, count) for record in records if (count := erased_of(record.value)))
        elif is_parquet:
            yield from ((offset, 1) for offset in _blank_of_parquet(content, table))
        else:
            rows = map(orjson.loads, gzip.decompress(content).splitlines())
            yield from ((row[OFFSET], 1) for row in rows if _is_blank(table, row))


def _blank_of_parquet(content: bytes, table: str) -> list[int]:
    with decoding():
        data = pyarrow.parquet.ParquetFile(io.BytesIO(content)).read(columns=[OFFSET, *_telling(table)])
    blank = [pc.is_null(data[name]) for name in _telling(table)]
    offsets: list[int] = data[OFFSET].filter(reduce(pc.and_, blank)).to_pylist()
    return offsets


def _is_blank(table: str, row: Row) -> bool:
    return all(row.get(name) is None for name in _telling(table))


def _telling(table: str) -> list[str]:
    """Return the fields that are all null in a row without data of a person."""
    return [name for name in PERSONAL[table] if name in DECIDING[table]]


@contextmanager
def _naming(file: Place) -> Iterator[None]:
    """Tell which file cannot be read, as FatalError."""
    try:
        yield
    except UNREADABLE_CONTENT as error:
        raise FatalError(f"{file} cannot be read: {type(error).__name__}") from error
