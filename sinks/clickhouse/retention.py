"""
How long ClickHouse keeps rows: a time to live for each table, as the settings say. `routee-sinks schema` applies it.

It is no part of the numbered files: it may change at any time, and an applied file never does.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.differences import Difference, Fault
from sinks.clickhouse.migrations import known_migrations, render
from sinks.clickhouse.objects import objects_of
from sinks.settings import SinksSettings


class Lifetime(NamedTuple):
    """The setting of a table's days, and the moment from which they count, as a column or the latest of several."""

    setting: str
    moment: str


# A clock of ingest that was never set must not delete a row: Routee's date counts where there is one.
_OF_SMS: Final = "greatest(received_at, status_updated_at)"

LIFETIMES: Final[Mapping[str, Lifetime]] = {
    "sms_status": Lifetime("clickhouse_retention_days_status", _OF_SMS),
    "sms_lives": Lifetime("clickhouse_retention_days_status", "first_received_at"),
    "message_status": Lifetime("clickhouse_retention_days_status", "received_at"),
    "sms_status_history": Lifetime("clickhouse_retention_days_history", _OF_SMS),
    "campaign_progress": Lifetime("clickhouse_retention_days_campaigns", "last_received_at"),
    "campaign_progress_history": Lifetime("clickhouse_retention_days_history", "last_received_at"),
    "delivery_windows": Lifetime("clickhouse_retention_days_delivery", "window_end"),
    "delivery_alarms": Lifetime("clickhouse_retention_days_alarms", "opened_at"),
    "delivery_alarms_history": Lifetime("clickhouse_retention_days_alarms", "opened_at"),
    "rejected_callbacks": Lifetime("clickhouse_retention_days_rejected", "received_at"),
}
"""Each table that keeps rows."""

_TTL: Final = re.compile(r"\bTTL (.*?)(?: SETTINGS |$)", re.DOTALL)
# A moment of our own making, in the form in which ClickHouse shows it. Its DateTime ends in 2106, and begins anew then.
_EXPRESSION: Final = "toDateTime(least({moment}, toDateTime64('2100-01-01 00:00:00', 3, 'UTC')), 'UTC')"


def time_to_live(table: str, days: int) -> str:
    """Return the expression of a table's rows that go after so many days."""
    return f"{_EXPRESSION.format(moment=LIFETIMES[table].moment)} + toIntervalDay({days})"


def retention_differences(clickhouse: ClickHouse, settings: SinksSettings) -> tuple[Difference, ...]:
    """Return the existing tables with another time to live than that of the settings."""
    objects = objects_of(known_migrations())
    wrong = _wrong(clickhouse, settings)
    return tuple(Difference(objects[table], Fault.RETENTION, detail) for table, (_, detail) in wrong.items())


def apply_retention(clickhouse: ClickHouse, settings: SinksSettings) -> list[str]:
    """Give each table the time to live of the settings, and return the names of the changed ones; rows go later."""
    wrong = _wrong(clickhouse, settings)
    for table, (days, _) in wrong.items():
        change = f"MODIFY TTL {time_to_live(table, days)}" if days else "REMOVE TTL"
        clickhouse.execute(render(f"ALTER TABLE {table} {{{{on_cluster}}}} {change}", settings.clickhouse_cluster))
    return [*wrong]


def _wrong(clickhouse: ClickHouse, settings: SinksSettings) -> dict[str, tuple[int, str]]:
    """Return table → the wanted days, and how it differs, of the tables that differ."""
    return {table: (days, detail) for table, days, detail in _compared(clickhouse, settings) if detail}


def _compared(clickhouse: ClickHouse, settings: SinksSettings) -> Iterator[tuple[str, int, str]]:
    shown = dict(clickhouse.rows("SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()"))
    for table, lifetime in LIFETIMES.items():
        if not shown.get(table):  # missing, or this user may not see it
            continue
        found = _TTL.search(shown[table])
        days = int(getattr(settings, lifetime.setting))
        yield table, days, _difference(found[1] if found else "", table, days, lifetime.setting.upper())


def _difference(found: str, table: str, days: int, setting: str) -> str:
    """Return how a time to live differs, empty when it does not."""
    ours = f"{_EXPRESSION.format(moment=LIFETIMES[table].moment)} + toIntervalDay("
    is_ours = found.startswith(ours)
    # Without a wanted one, that of an owner is the owner's affair.
    if found == (time_to_live(table, days) if days else "") or (not days and not is_ours):
        return ""
    kept = f"keeps rows for {found.removeprefix(ours).removesuffix(')')} days" if is_ours else f"has TTL {found}"
    return f"{kept if found else 'has no TTL'}, and {setting}={days}"
