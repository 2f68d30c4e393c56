"""
Record → row: which records can be written to a table at all, decided by their bytes.

Values are JSON with the table's column names, so a record's value is the row: it is not parsed and built again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from sinks.source import Record

NOT_AN_OBJECT: Final = "not one JSON object"

_OPEN: Final = ord("{")
# For ClickHouse alone: its reader of JSONEachRow takes `{…}{…}` for two rows. The file formats would refuse such a
# value; refused here, it has the same error in both sinks. Possessive: no byte of any value is looked at twice.
# Looser than JSON's syntax: a value that matches is parsed.
_SECOND: Final = re.compile(rb"\}[\s,]*+\{")


@dataclass(slots=True)
class Sorted:
    """The records of one table: rows to write, records that no store can take, and how many have no value."""

    rows: list[Record] = field(default_factory=list)
    unusable: list[Record] = field(default_factory=list)
    empty: int = 0


def sort_out(records: Sequence[Record]) -> Sorted:
    """
    Tell rows from records that cannot be one.

    Tombstones have no value, and an empty value counts as none. A value that is not one `{…}` is unusable: a store that
    reads one row after the other could take it for a part of the next row, or for two rows. The store judges the rest:
    a value is parsed here only if it may be two objects.
    """
    parts = Sorted()
    rows = parts.rows
    for record in records:
        value = record.value
        if not value:
            parts.empty += 1
        # Of nearly every row the only `}` is its last byte: finding that costs a fifth of a search.
        elif (value[0] == _OPEN and value.find(b"}") == len(value) - 1) or _is_one(value):
            rows.append(record)
        else:
            parts.unusable.append(record)
    return parts


def _is_one(value: bytes) -> bool:
    text = value.strip()
    is_braced = text.startswith(b"{") and text.endswith(b"}")
    return is_braced and (_SECOND.search(value) is None or _is_object(value))


def _is_object(value: bytes) -> bool:
    try:
        return isinstance(orjson.loads(value), dict)
    except orjson.JSONDecodeError:
        return False


def with_position(record: Record) -> bytes:
    """Return the row with the columns `topic_partition` and `topic_offset`: where the record lies."""
    head = (record.value or b"").rstrip()[:-1].rstrip()
    comma = b"" if head.endswith(b"{") else b","
    # `+` and not one format: that would copy the value once more.
    return head + b'%b"topic_partition":%d,"topic_offset":%d}' % (comma, record.partition, record.offset)
