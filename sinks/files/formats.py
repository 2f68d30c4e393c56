"""
Rows → the bytes of one file, in either format.

A format refuses a row by PermanentError; every reader of the format can read the bytes that it returns. MemoryError is
no fault of the rows.
"""

import gzip
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet

from sinks.errors import PermanentError
from sinks.files.archive import ARCHIVE_SCHEMA, archive_lines, archive_table
from sinks.files.columns import POSITION, SCHEMAS
from sinks.rows import with_position
from sinks.source import Record
from sinks.tables import RAW_CALLBACKS_TABLE

Format = Callable[[str, Sequence[Record]], bytes]

_BLOCK_BYTES: Final = 4 << 20
_GZIP_LEVEL: Final = 3
_LINE_END: Final = ord("\n")


def parquet(table: str, rows: Sequence[Record]) -> bytes:
    """Return a Parquet file with typed columns, compressed by zstd. Fields without a column are left out."""
    if table == RAW_CALLBACKS_TABLE:
        return to_parquet(archive_table(rows))
    try:
        data = to_table(table, rows)
    except MemoryError:
        # Arrow's own MemoryError is an ArrowException, too.
        raise
    except (pa.ArrowException, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise PermanentError(str(error)) from error
    return to_parquet(data)


def to_parquet(data: pa.Table) -> bytes:
    """Return the bytes of a Parquet file."""
    # Arrow's own file: one of Python would be called for each piece of each column, under Python's lock.
    file = pa.BufferOutputStream()
    pyarrow.parquet.write_table(data, file, compression="zstd", use_dictionary=_with_dictionary(data.schema))
    content: bytes = file.getvalue().to_pybytes()
    return content


def _with_dictionary(schema: pa.Schema) -> list[str]:
    """
    Return the columns whose values are likely to come again.

    Positions, times and envelopes do not: without a dictionary of them a file is written sooner, and smaller.
    """
    if schema.equals(ARCHIVE_SCHEMA):
        return []
    return [
        leaf
        for field in schema
        if field.name not in POSITION and not pa.types.is_timestamp(field.type)
        for leaf in _leaves(field.name, field.type)
    ]


def _leaves(name: str, kind: pa.DataType) -> list[str]:
    """Return the names under which Parquet keeps a column."""
    if pa.types.is_map(kind):
        return _leaves(f"{name}.key_value.key", kind.key_type) + _leaves(f"{name}.key_value.value", kind.item_type)
    return _leaves(f"{name}.list.element", kind.value_type) if pa.types.is_list(kind) else [name]


def ndjson(table: str, rows: Sequence[Record]) -> bytes:
    """Return one JSON object per line, compressed by gzip: each record as it is, with its position."""
    if table == RAW_CALLBACKS_TABLE:
        return packed(archive_lines(rows))
    lines = [with_position(row) for row in rows]
    for number, line in enumerate(lines):
        try:
            orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise PermanentError(str(error)) from error
        if _LINE_END in line:
            lines[number] = orjson.dumps(orjson.loads(line))
    return packed(lines)


def packed(lines: Sequence[bytes]) -> bytes:
    """Return the bytes of a file of lines."""
    return gzip.compress(b"\n".join([*lines, b""]), _GZIP_LEVEL, mtime=0)


FORMATS: Final[dict[str, Format]] = {"parquet": parquet, "ndjson": ndjson}


def to_table(table: str, rows: Sequence[Record]) -> pa.Table:
    """
    Return the typed table of rows and of where each lies.

    pyarrow reads JSON several times as fast as a loop in Python, but no maps: the loop is for those alone.
    """
    schema = SCHEMAS[table]
    lines = [row.value or b"" for row in rows]
    maps = [field.name for field in schema if pa.types.is_map(field.type)]
    data = pyarrow.json.read_json(
        pa.BufferReader(b"\n".join(lines)),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=_block_size(lines)),
        parse_options=pyarrow.json.ParseOptions(
            # Without the columns that no row has: to pyarrow, a missing field costs more than one that is there.
            explicit_schema=pa.schema([field for field in schema if field.name not in {*maps, *POSITION}]),
            unexpected_field_behavior="ignore",
            # With a line for each row, pyarrow need not read the rows to find their ends. It takes both for line ends.
            newlines_in_values=any(end in line for end in b"\r\n" for line in lines),
        ),
    )
    if data.num_rows != len(lines):
        raise pa.ArrowInvalid(f"{len(lines)} records hold {data.num_rows} rows")
    values = [orjson.loads(line) for line in lines] if maps else []
    columns: dict[str, list[Any]] = {
        "topic_partition": [row.partition for row in rows],
        "topic_offset": [row.offset for row in rows],
        **{name: [_items(value.get(name)) for value in values] for name in maps},
    }
    data = pa.table(
        [pa.array(columns[one.name], one.type) if one.name in columns else data[one.name] for one in schema],
        schema=schema,
    )
    # pyarrow's reader takes any bytes for text: this call refuses bytes that are not UTF-8.
    data.validate(full=True)
    return data


def _items(counts: dict[str, Any] | None) -> list[tuple[str, Any]] | None:
    return None if counts is None else [*counts.items()]


def _block_size(lines: Sequence[bytes]) -> int:
    """Return a size into which the longest row fits: pyarrow fails on a row that is larger than a block."""
    return max(_BLOCK_BYTES, 2 * max(map(len, lines)))
