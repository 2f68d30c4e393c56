"""
Record → row: what of a topic can be written to a table at all, decided by looking at the bytes.

Values are JSON in the table's own column names, so a row is the value itself: it is not parsed and built again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from sinks.source import Record

NOT_AN_OBJECT: Final = "not one JSON object"

_OPEN: Final = ord("{")
_CLOSE: Final = ord("}")
# ClickHouse takes what follows for a second row, which nobody sent. Possessive: no byte is looked at twice, whatever a
# stranger sent; looser than the syntax, because what matches is parsed.
_SECOND: Final = re.compile(rb"\}[\s,]*+\{")


@dataclass(slots=True)
class Sorted:
    """The records of one table, apart: those to write, those no store can take, and how many carry nothing."""

    rows: list[Record] = field(default_factory=list)
    unusable: list[Record] = field(default_factory=list)
    empty: int = 0


def sort_out(records: Sequence[Record]) -> Sorted:
    """
    Tell rows from what cannot be one.

    Tombstones and empty values carry nothing. Anything that is not one `{…}` is unusable: a store that reads rows one
    after the other could take its bytes for a part of the next row, or for two. What is inside the braces is the
    store's to judge: only a value that may be two objects is parsed here.
    """
    parts = Sorted()
    for record in records:
        value = record.value
        if not value:
            parts.empty += 1
        elif _is_braced(value) and (_SECOND.search(value) is None or _is_object(value)):
            parts.rows.append(record)
        else:
            parts.unusable.append(record)
    return parts


def _is_braced(value: bytes) -> bool:
    if value[0] == _OPEN and value[-1] == _CLOSE:
        return True
    text = value.strip()
    return text.startswith(b"{") and text.endswith(b"}")


def _is_object(value: bytes) -> bool:
    try:
        return isinstance(orjson.loads(value), dict)
    except orjson.JSONDecodeError:
        return False


def with_position(record: Record) -> bytes:
    """Return the row with two more columns, `topic_partition` and `topic_offset`: where the record lies."""
    head = (record.value or b"").rstrip()[:-1].rstrip()
    comma = b"" if head.endswith(b"{") else b","
    # Put together by `+`: formatting the whole would copy it once more.
    return head + b'%b"topic_partition":%d,"topic_offset":%d}' % (comma, record.partition, record.offset)
