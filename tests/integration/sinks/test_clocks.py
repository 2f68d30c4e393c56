"""
Times of any clock in the real engine: the records of streams are taken, kept to the millisecond, counted in their hour.
"""

from collections import Counter

import orjson
import pytest

from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.migrations import known_migrations
from sinks.errors import PermanentError
from streams.contract.codec import encode
from streams.contract.dates import read_date
from tests.behaviour.sinks.records import campaign, rejection, sms
from tests.builders import SMS_ID, sms_callback
from tests.integration.sinks.older import apply_until
from tests.support.clocks import CLOCKS, statuses_of_every_clock
from tests.unit.streams.domain.pipeline import Pipeline

pytestmark = pytest.mark.clickhouse

TIMES = ("first_received_at", "received_at", "status_updated_at", "queued_at", "sent_at", "final_at")
STATUSES = [*statuses_of_every_clock()]
LATEST = {status["sms_key"]: status for status in STATUSES}
HOUR_MS = 3_600_000


def insert(tables: ClickHouse, table: str, *rows: bytes) -> None:
    tables.insert_json(table, (row + b"\n" for row in rows))


@pytest.fixture
def filled(tables: ClickHouse) -> ClickHouse:
    """Give a connection to the tables with all these records, written in one insert."""
    insert(tables, "sms_inbox", *map(orjson.dumps, STATUSES))
    return tables


@pytest.mark.parametrize(("view", "count"), [("sms", len(LATEST)), ("sms_history", len(STATUSES))])
def test_every_sms_is_there_with_its_times(filled: ClickHouse, view: str, count: int) -> None:
    columns = ", ".join(f"toUnixTimestamp64Milli({name})" for name in TIMES)
    rows = filled.rows(f"SELECT sms_key, revision, {columns} FROM {view}")  # noqa: S608 - names of ours
    assert len(rows) == count
    told = {(status["sms_key"], status["revision"]): status for status in STATUSES}
    for key, revision, *times in rows:
        assert times == [read_date(told[key, revision][name]) or None for name in TIMES], key


def test_every_final_is_counted_in_its_hour(filled: ClickHouse) -> None:
    expected = Counter((read_date(status["status_updated_at"]) or 0) // HOUR_MS for status in LATEST.values())
    found = filled.rows("SELECT intDiv(toUnixTimestamp(hour), 3600), sms FROM delivery_by_final_hour")
    assert dict(found) == expected


def test_an_sms_that_an_ingest_at_1999_took_first_is_there(tables: ClickHouse) -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent"), received_at="1999-01-01T00:00:00.000Z")
    pipeline.send(sms_callback("Delivered"))
    insert(tables, "sms_inbox", *map(orjson.dumps, pipeline.revisions))
    assert tables.rows("SELECT sms_key, status, revision FROM sms") == [(SMS_ID, "Delivered", 2)]


def test_a_time_of_receipt_that_is_missing_makes_no_sms(tables: ClickHouse) -> None:
    row = sms("x").model_dump(mode="json")
    del row["first_received_at"]
    with pytest.raises(PermanentError, match="VIOLATED_CONSTRAINT"):
        insert(tables, "sms_inbox", orjson.dumps(row))


def test_a_database_whose_inbox_refused_old_clocks_takes_them_after_the_upgrade(empty: ClickHouse) -> None:
    """And the views that fill both tables go on reading the inbox that replaces it."""
    apply_until(empty, 6)
    insert(empty, "sms_inbox", encode(sms("before")))
    with pytest.raises(PermanentError, match="VIOLATED_CONSTRAINT"):
        insert(empty, "sms_inbox", *map(orjson.dumps, STATUSES))
    apply_until(empty, 7)
    insert(empty, "sms_inbox", *map(orjson.dumps, STATUSES))
    apply_until(empty, len(known_migrations()))
    assert empty.rows("SELECT count() FROM sms") == [(len(LATEST) + 1,)]
    assert empty.rows("SELECT count() FROM sms_history") == [(len(STATUSES) + 1,)]


@pytest.mark.parametrize("clock", CLOCKS)
def test_campaigns_and_rejections_of_any_clock_are_taken(tables: ClickHouse, clock: str) -> None:
    times = {"first_received_at": clock, "last_received_at": clock, "finished_at": clock}
    insert(tables, "campaign_inbox", orjson.dumps({**campaign("one").model_dump(mode="json"), **times}))
    refused = {**rejection().model_dump(mode="json"), "topic_partition": 0, "topic_offset": 0, "received_at": clock}
    insert(tables, "rejected_callbacks", orjson.dumps(refused))
    written = clock.replace("T", " ").removesuffix("Z")
    assert tables.rows("SELECT toString(first_received_at), toString(finished_at) FROM campaigns") == [
        (written, written)
    ]
    assert tables.rows("SELECT toString(received_at) FROM rejections") == [(written,)]
