"""
Rows to ClickHouse: one insert of the records' own JSON fills the table of latest rows and the history.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Final

from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.migrations import known_migrations
from sinks.clickhouse.objects import copies_of, objects_of
from sinks.errors import ShortError
from sinks.rows import with_position
from sinks.source import Record, TopicPartition
from sinks.tables import (
    CAMPAIGN_PROGRESS_TABLE,
    DELIVERY_ALARMS_TABLE,
    DELIVERY_WINDOWS_TABLE,
    REJECTED_CALLBACKS_TABLE,
    SMS_STATUS_TABLE,
)

# An inbox keeps no rows: its materialized views pass each block on to the table of latest rows and to the history.
INBOX_OF: Final = {
    SMS_STATUS_TABLE: "sms_inbox",
    CAMPAIGN_PROGRESS_TABLE: "campaign_inbox",
    DELIVERY_WINDOWS_TABLE: "delivery_inbox",
    DELIVERY_ALARMS_TABLE: "alarm_inbox",
    REJECTED_CALLBACKS_TABLE: REJECTED_CALLBACKS_TABLE,
}

# malloc gives the memory of larger pieces back: getting it again was two thirds of the work of sending them.
_ROWS_AT_ONCE: Final = 100


class ClickHouseSink:
    """
    Implements `Sink`: at least once, into tables that keep the newer record of each key.

    So rows that are written twice end as one. A frozen process that wakes up as a former owner does no harm: an older
    revision never replaces a newer one.
    """

    name = "clickhouse"

    def __init__(self, clickhouse: ClickHouse, on_more: Callable[[], object] = lambda: None) -> None:
        """Call `on_more` when ClickHouse counts more rows than ours."""
        self._clickhouse = clickhouse
        self._on_more = on_more
        objects = objects_of(known_migrations())
        # Of the copies that a shard makes, the server that answers knows nothing.
        self._copies = {inbox: 1 if clickhouse.shards else copies_of(objects, inbox) for inbox in INBOX_OF.values()}

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Leave every position to the group's commit."""
        return dict.fromkeys(partitions)

    def release(self, partitions: Iterable[TopicPartition]) -> None:
        """Do nothing: no partition is held."""

    def write(self, table: str, rows: Sequence[Record]) -> None:
        """
        Insert the rows; returns when ClickHouse says that the table of latest rows and the history have them.

        ClickHouse counts a row in the inbox and in each table that a view of ours fills. It may count more: views that
        others have put on these tables are no affair of the sink. ShortError when it counts fewer.
        """
        inbox = INBOX_OF[table]
        written = self._clickhouse.insert_json(inbox, _lines(table, rows))
        needed = len(rows) * self._copies[inbox]
        if written < needed:
            raise ShortError(
                f"ClickHouse wrote {written} of {needed} rows for {len(rows)} inserted into {inbox}: "
                "a view does not pass every row on. `routee-sinks check` looks for it"
            )
        if written > needed:
            self._on_more()

    def close(self) -> None:
        """Close the connection."""
        self._clickhouse.close()


def _lines(table: str, rows: Sequence[Record]) -> Generator[bytes]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[start : start + _ROWS_AT_ONCE]
        yield b"\n".join([*_json(table, some), b""])


def _json(table: str, rows: Sequence[Record]) -> Iterable[bytes]:
    if table == REJECTED_CALLBACKS_TABLE:
        return map(with_position, rows)
    return [row.value or b"" for row in rows]
