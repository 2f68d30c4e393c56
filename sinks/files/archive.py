"""
The rows of the archive: each record of `callbacks.raw` with its bytes as they are, so that it can be sent again.

In Parquet key, value and headers are bytes. In NDJSON they are text, or base64 where they are no UTF-8.
"""

import gzip
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import pyarrow as pa

from sinks.files.contents import parquet_table
from sinks.raw_callbacks import as_text, from_text
from sinks.source import Record
from streams.contract.codec import format_time_ms

ARCHIVE_SCHEMA: Final = pa.schema(
    {
        "topic_partition": pa.int64(),
        "topic_offset": pa.int64(),
        "timestamp": pa.timestamp("ms", tz="UTC"),
        "key": pa.binary(),
        "headers": pa.list_(pa.struct({"name": pa.string(), "value": pa.binary()})),
        "value": pa.binary(),
    }
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


def archive_table(rows: Sequence[Record]) -> pa.Table:
    """Return the table of raw records."""
    columns = [
        pa.array([row.partition for row in rows], pa.int64()),
        pa.array([row.offset for row in rows], pa.int64()),
        pa.array([row.timestamp for row in rows], pa.int64()).cast(ARCHIVE_SCHEMA.field("timestamp").type),
        pa.array([row.key for row in rows], pa.binary()),
        pa.array([[*map(_named, row.headers)] for row in rows], ARCHIVE_SCHEMA.field("headers").type),
        pa.array([row.value for row in rows], pa.binary()),
    ]
    return pa.table(columns, schema=ARCHIVE_SCHEMA)


def _named(header: tuple[str, bytes | None]) -> dict[str, Any]:
    name, value = header
    return {"name": name, "value": value}


def archive_lines(rows: Iterable[Record]) -> list[bytes]:
    """Return the lines of raw records."""
    return [orjson.dumps(_line(row)) for row in rows]


def _line(row: Record) -> dict[str, Any]:
    return {
        "topic_partition": row.partition,
        "topic_offset": row.offset,
        "timestamp": format_time_ms(row.timestamp),
        **_told("key", row.key),
        "headers": [{"name": name, **_told("value", value)} for name, value in row.headers],
        **_told("value", row.value),
    }


def _told(name: str, value: bytes | None) -> dict[str, str | None]:
    text, base64 = as_text(value)
    return {name: text, f"{name}_base64": base64}


def records_in(content: bytes, file_format: str, topic: str = "") -> list[Record]:
    """Return the records of a file of the archive as Kafka had them, as records of that topic."""
    rows = _parquet_rows(content) if file_format == "parquet" else _ndjson_rows(content)
    return [
        Record(
            topic,
            row["topic_partition"],
            row["topic_offset"],
            (row["timestamp"] - _EPOCH) // _MS,
            row["value"],
            row["key"],
            [(header["name"], header["value"]) for header in row["headers"]],
        )
        for row in rows
    ]


def _parquet_rows(content: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet_table(content).to_pylist()
    return rows


def _ndjson_rows(content: bytes) -> list[dict[str, Any]]:
    return [_read(orjson.loads(line)) for line in gzip.decompress(content).splitlines()]


def _read(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "timestamp": datetime.fromisoformat(row["timestamp"]),
        "key": from_text(row["key"], row["key_base64"]),
        "headers": [
            {"name": header["name"], "value": from_text(header["value"], header["value_base64"])}
            for header in row["headers"]
        ],
        "value": from_text(row["value"], row["value_base64"]),
    }
