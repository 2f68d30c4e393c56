"""
The bytes of a file read, in either format, and the errors of damaged ones.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import orjson
import pyarrow as pa
import pyarrow.parquet

UNREADABLE_CONTENT: Final = (
    pa.ArrowException,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    zlib.error,
    gzip.BadGzipFile,
    orjson.JSONDecodeError,
    msgspec.MsgspecError,
)
"""Raised by the readers of both formats for a damaged file."""


@contextmanager
def decoding() -> Iterator[None]:
    """Read bytes in memory: an OSError is a damage of theirs then, by which Arrow tells some of them."""
    try:
        yield
    except OSError as error:
        raise pa.ArrowInvalid(str(error)) from error


def parquet_table(content: bytes) -> pa.Table:
    """Return the rows of a Parquet file. UNREADABLE_CONTENT when it cannot be read."""
    with decoding():
        return pyarrow.parquet.ParquetFile(io.BytesIO(content)).read()


class _Place(msgspec.Struct):
    topic_partition: int
    topic_offset: int


_read_place: Final = msgspec.json.Decoder(_Place).decode


def offsets_in(content: bytes, name: str) -> list[int]:
    """Return the offsets of a file's rows, in their order. UNREADABLE_CONTENT when it cannot be read."""
    return [offset for _, offset in places_in(content, name)]


def places_in(content: bytes, name: str) -> list[tuple[int, int]]:
    """Return partition and offset of a file's rows, in their order; every column of every row is read."""
    if name.endswith(".parquet"):
        data = parquet_table(content)
        return list(zip(data["topic_partition"].to_pylist(), data["topic_offset"].to_pylist(), strict=True))
    places = map(_read_place, gzip.decompress(content).splitlines())
    return [(place.topic_partition, place.topic_offset) for place in places]
