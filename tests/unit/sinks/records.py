"""
Records for tests of the sinks.
"""

from collections.abc import Sequence

from sinks.source import Record

TOPIC = "routee.sms.status"
DAY_MS = 86_400_000


def record(offset: int, value: bytes | None = b'{"n":1}', *, partition: int = 0, timestamp: int = 0) -> Record:
    return Record(TOPIC, partition, offset, timestamp, value)


def offsets(rows: Sequence[Record]) -> list[int]:
    return [row.offset for row in rows]
