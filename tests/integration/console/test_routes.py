"""
Answers of the real engine about routes, campaigns and a quiet pipeline: prices that Routee told, and missing ones.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from console.settings import ConsoleSettings
from console.tables.campaigns import CampaignTables
from console.tables.clickhouse import Tables
from console.tables.health import HealthTables
from console.tables.routes import RouteTables
from sinks.clickhouse.client import ClickHouse
from sinks.settings import SinksSettings
from streams.contract.codec import encode
from streams.program.settings import load_settings
from tests.behaviour.sinks.records import cell, final

pytestmark = [pytest.mark.clickhouse, pytest.mark.timeout(240)]


@pytest.fixture
async def asked(settings: SinksSettings) -> AsyncIterator[Tables]:
    told: dict[str, Any] = {
        "clickhouse_url": settings.clickhouse_url,
        "clickhouse_database": settings.clickhouse_database,
        "console_clickhouse_user": settings.clickhouse_user,
        "console_clickhouse_password": settings.clickhouse_password.get_secret_value(),
    }
    tables = Tables(load_settings(ConsoleSettings, env_file=None, **told))
    yield tables
    await tables.close()


def window(minutes: int) -> datetime:
    """Return the beginning of the window that was so many minutes ago."""
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    return at.replace(minute=at.minute - at.minute % 5, second=0, microsecond=0)


async def test_the_priced_parts_of_a_route_are_those_with_a_price(tables: ClickHouse, asked: Tables) -> None:
    cells = (
        cell(window(20), operator="half", parts=10, unpriced=4, price_total=Decimal("0.3")),
        cell(window(30), operator="half", parts=10, unpriced=10, price_total=Decimal(0)),
        cell(window(20), operator="none", parts=7, unpriced=7, price_total=Decimal(0)),
    )
    tables.insert_json("delivery_inbox", (encode(one) + b"\n" for one in cells))
    rows = {
        row["operator"]: (row["sms"], row["priced"], float(row["price_total"]))
        for row in await RouteTables(asked).now()
    }
    assert rows == {"half": (20, 6, 0.3), "none": (7, 0, 0.0)}


async def test_the_cost_at_an_operator_is_not_known_where_no_price_was_told(tables: ClickHouse, asked: Tables) -> None:
    parts = (
        final("a", "Delivered", operator="some", price=Decimal("0.25")),
        final("b", "Delivered", operator="some", price=None),
        final("c", "Delivered", operator="none", price=None),
        final("d", "Delivered", operator="free", price=Decimal(0)),
    )
    tables.insert_json("sms_inbox", (encode(one) + b"\n" for one in parts))
    rows = {row["operator"]: row["price_total"] for row in await CampaignTables(asked).by_operator("campaign-1")}
    assert {name: None if price is None else float(price) for name, price in rows.items()} == {
        "some": 0.25,
        "none": None,
        "free": 0.0,
    }


async def test_the_newest_receipt_is_told_however_old_it_is(tables: ClickHouse, asked: Tables) -> None:
    health = HealthTables(asked)
    assert await health.last() is None
    asked._kept.clear()
    old = final("a", "Delivered", received_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    tables.insert_json("sms_inbox", (encode(one) + b"\n" for one in [old]))
    assert (await health.fresh())["changes"] == 0
    assert await health.last() == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
