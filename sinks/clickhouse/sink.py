"""
Rows to ClickHouse: the records' own JSON, into the table of the latest rows and the table of all rows.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from sinks.clickhouse.client import ClickHouse
from sinks.rows import with_position
from sinks.source import Record, TopicPartition
from sinks.tables import CAMPAIGN_PROGRESS_TABLE, REJECTED_CALLBACKS_TABLE, SMS_STATUS_TABLE

# The history first: whoever sees a latest row finds it in the history. Two inserts, and no materialized view between
# the tables: each is acknowledged by itself, so no failure can leave a row in one and out of the other for good.
TARGETS: Final = {
    SMS_STATUS_TABLE: ("sms_status_history", "sms_status"),
    CAMPAIGN_PROGRESS_TABLE: ("campaign_progress_history", "campaign_progress"),
    REJECTED_CALLBACKS_TABLE: ("rejected_callbacks",),
}


class ClickHouseSink:
    """
    Implements `Sink`: at least once, into tables in which rows that were written twice end as if written once.

    They keep one row per key and revision.
    A process that was frozen and wakes up as a former owner can do no harm: an older revision never replaces a newer.
    """

    name = "clickhouse"

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Leave every position to the consumer group."""
        return dict.fromkeys(partitions)

    def release(self, partitions: Iterable[TopicPartition]) -> None:
        """Nothing is held."""

    def write(self, table: str, rows: Sequence[Record]) -> None:
        """Insert the rows into each table that is kept of this one."""
        body = b"\n".join(_json(table, rows))
        for target in TARGETS[table]:
            self._clickhouse.insert_json(target, body)

    def close(self) -> None:
        """Close the connection."""
        self._clickhouse.close()


def _json(table: str, rows: Sequence[Record]) -> Iterable[bytes]:
    if table == REJECTED_CALLBACKS_TABLE:
        return map(with_position, rows)
    return [row.value or b"" for row in rows]
