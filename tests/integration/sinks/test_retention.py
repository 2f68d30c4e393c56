"""Rows of ClickHouse go when the settings say, also after other settings."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sinks.cli import run_schema
from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.migrations import known_migrations
from sinks.clickhouse.objects import objects_of
from sinks.clickhouse.retention import LIFETIMES, retention_differences
from sinks.clickhouse.sink import ClickHouseSink
from sinks.clickhouse.watch import SchemaWatch
from sinks.metrics import Metrics, Readiness
from sinks.settings import SinksSettings
from sinks.source import Record
from streams.contract.codec import encode
from tests.behaviour.sinks.records import alarm, campaign, cell, rejection, sms
from tests.support.wait import eventually

pytestmark = pytest.mark.clickhouse

DEFAULTS = {
    name: SinksSettings.model_fields[name].default
    for name in SinksSettings.model_fields
    if name.startswith("clickhouse_retention")
}
AGES = (1, 29, 31, 89, 91, 399, 401, 20_000)


def kept(settings: SinksSettings, **days: int) -> SinksSettings:
    return settings.model_copy(update={**DEFAULTS, **days})


def write(clickhouse: ClickHouse, now: datetime) -> None:
    """Write rows of each table, as old as `AGES` in days."""
    sink = ClickHouseSink(clickhouse)
    for days in AGES:
        at: dict[str, Any] = {
            "received_at": now - timedelta(days=days),
            "first_received_at": now - timedelta(days=days),
        }
        records = {
            "sms_status": sms(f"key-{days}", status_updated_at=at["received_at"], **at),
            "campaign_progress": campaign(
                f"campaign-{days}", last_received_at=at["received_at"], first_received_at=at["received_at"]
            ),
            "delivery_windows": cell(now - timedelta(days=days), window_end=now - timedelta(days=days)),
            "delivery_alarms": alarm(opened_at=now - timedelta(days=days), subject=f'["GR","{days}"]'),
            "rejected_callbacks": rejection(offset=days, received_at=at["received_at"]),
        }
        for table, row in records.items():
            sink.write(table, [Record("t", 0, days, 0, encode(row))])


def oldest(clickhouse: ClickHouse) -> dict[str, int]:
    """Return the age in days of the oldest row of each table, once all that may go is gone."""
    for table in LIFETIMES:
        clickhouse.execute(f"OPTIMIZE TABLE {table} FINAL")
    return {
        table: int(clickhouse.value(f"SELECT dateDiff('day', min({moment(table)}), now64(3)) FROM {table}"))  # noqa: S608
        for table in LIFETIMES
    }


def moment(table: str) -> str:
    if named := {"sms_lives": "first_received_at", "delivery_windows": "window_end"}.get(table):
        return named
    if table.startswith("delivery_alarms"):
        return "opened_at"
    return "last_received_at" if table.startswith("campaign") else "received_at"


def has_oldest(clickhouse: ClickHouse, **days: int) -> bool:
    return oldest(clickhouse) == days


def test_every_table_that_keeps_rows_has_a_lifetime() -> None:
    assert {it.name for it in objects_of(known_migrations()).values() if it.keeps_rows} == LIFETIMES.keys()


def test_rows_go_after_their_days_and_the_days_may_change(tables: ClickHouse, settings: SinksSettings) -> None:
    now = datetime.now(UTC)
    write(tables, now)
    assert set(oldest(tables).values()) == {20_000}
    run_schema(kept(settings))
    eventually(
        lambda: has_oldest(
            tables,
            sms_status=399,
            sms_lives=399,
            message_status=399,
            sms_status_history=89,
            campaign_progress=399,
            campaign_progress_history=89,
            delivery_windows=399,
            delivery_alarms=399,
            delivery_alarms_history=399,
            rejected_callbacks=29,
        )
    )
    shorter = kept(settings, clickhouse_retention_days_status=30, clickhouse_retention_days_campaigns=90)
    shortened = ["sms_status", "sms_lives", "message_status", "campaign_progress"]
    assert [it.thing.name for it in retention_differences(tables, shorter)] == shortened
    run_schema(shorter)
    assert retention_differences(tables, shorter) == ()
    eventually(lambda: [oldest(tables)[table] for table in shortened] == [29, 29, 29, 89])
    for_ever = kept(settings, **dict.fromkeys(DEFAULTS, 0))
    run_schema(for_ever)
    assert retention_differences(tables, for_ever) == ()
    write(tables, now)
    assert set(oldest(tables).values()) == {20_000}


def test_a_former_life_of_an_sms_does_not_come_back_before_its_row_goes(
    tables: ClickHouse, settings: SinksSettings
) -> None:
    run_schema(kept(settings))
    sink, now = ClickHouseSink(tables), datetime.now(UTC)
    for generation, days in enumerate((20, 1), 1):
        at = now - timedelta(days=days)
        row = sms("anew", generation=generation, first_received_at=at, received_at=at, status_updated_at=at)
        sink.write("sms_status", [Record("t", 0, generation, 0, encode(row))])
        tables.execute("OPTIMIZE TABLE sms_status FINAL")
    assert tables.value("SELECT groupArray(generation) FROM sms") == [2]
    assert tables.value("SELECT count() FROM sms_status") == 2


def test_a_row_of_a_clock_that_was_never_set_stays_by_the_date_of_its_status(
    tables: ClickHouse, settings: SinksSettings
) -> None:
    run_schema(kept(settings))
    never_set = {name: datetime(1970, 1, 2, tzinfo=UTC) for name in ("received_at", "first_received_at")}
    far = {"received_at": datetime.now(UTC), "status_updated_at": datetime(2290, 1, 1, tzinfo=UTC)}
    rows = [sms("of-1970", status_updated_at=datetime.now(UTC), **never_set), sms("of-2290", **far)]
    ClickHouseSink(tables).write("sms_status", [Record("t", 0, n, 0, encode(row)) for n, row in enumerate(rows)])
    tables.execute("OPTIMIZE TABLE sms_status FINAL")
    assert tables.value("SELECT count() FROM sms_status") == 2


def test_a_difference_is_told_and_keeps_no_row_from_its_table(tables: ClickHouse, settings: SinksSettings) -> None:
    changed = kept(settings)
    metrics, readiness = Metrics(), Readiness()
    watch = SchemaWatch(metrics, readiness, lambda clickhouse: retention_differences(clickhouse, changed))
    watch.look(tables)
    line = "the table sms_status has no TTL, and CLICKHOUSE_RETENTION_DAYS_STATUS=400: run `routee-sinks schema`"
    assert any(line in reason for reason in readiness.reasons)
    assert watch.losses == ""
    assert line in map(str, retention_differences(tables, changed))
    run_schema(changed)
    watch.look(tables)
    assert not [reason for reason in readiness.reasons if "RETENTION" in reason]
    (told,) = retention_differences(tables, kept(settings, clickhouse_retention_days_rejected=0))
    assert str(told).startswith(
        "the table rejected_callbacks keeps rows for 30 days, and CLICKHOUSE_RETENTION_DAYS_REJECTED=0: run"
    )


def test_a_time_to_live_of_the_owner_stays_where_the_setting_is_0(tables: ClickHouse, settings: SinksSettings) -> None:
    tables.execute("ALTER TABLE rejected_callbacks MODIFY TTL toDateTime(received_at) + INTERVAL 7 DAY")
    for_ever = kept(settings, **dict.fromkeys(DEFAULTS, 0))
    run_schema(for_ever)
    shown = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'rejected_callbacks'"
    assert "TTL toDateTime(received_at) + toIntervalDay(7)" in tables.value(shown)
    run_schema(kept(settings))
    assert "toIntervalDay(30)" in tables.value(shown)
