"""
The README's queries, asked as it says, print what stands below them, byte for byte.
"""
# ruff: noqa: S608 - the SQL is put together from the tests' own words

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.audit.clickhouse import ClickHouse
from sandbox.clickhouse.process import ClickHouseServer
from sandbox.demo.queries import QUERIES as DEMO_QUERIES
from sinks.cli import run_schema
from sinks.clickhouse.client import connect
from sinks.clickhouse.sink import ClickHouseSink
from sinks.settings import SinksSettings
from sinks.source import Record
from sinks.tables import tables_by_topic
from tests.integration.sinks.conftest import FOR_EVER
from tests.integration.sinks.demo_data import DAY, demo_records

pytestmark = pytest.mark.clickhouse

README = (Path(__file__).parents[3] / "sinks" / "README.md").read_text()
_PAIR = r"```sql\n-- (\d+)\. [^\n]*\n(SELECT [^\n]*);\n```\n\n(.*?\n)\n"
QUERIES = {int(number): (sql, answer) for number, sql, answer in re.findall(_PAIR, README, re.DOTALL)}
# Each query that the runbook has between back quotes.
AT_NIGHT = re.findall(r"`(SELECT [^`]+)`", (Path(__file__).parents[3] / "docker/monitoring/RUNBOOK.md").read_text())
(ASKED,) = re.findall(
    r"^    curl 'http://127\.0\.0\.1:8123/\?database=routee&(\S*)' --data-binary 'SELECT ", README, re.MULTILINE
)


@pytest.fixture(scope="module")
def demo(clickhouse: ClickHouseServer) -> Iterator[ClickHouse]:
    """Give a database with what the demo leaves behind."""
    settings = SinksSettings(
        clickhouse_url=clickhouse.url,
        clickhouse_user=clickhouse.user,
        clickhouse_password=clickhouse.password,
        clickhouse_database="demo_of_readme",
        **dict.fromkeys(FOR_EVER, 0),
    )
    run_schema(settings)
    connection = connect(settings)
    sink = ClickHouseSink(connection)
    rows: dict[str, list[Record]] = {table: [] for table in tables_by_topic("").values()}
    for offset, (topic, value) in enumerate(demo_records()):
        rows[tables_by_topic("")[topic]].append(Record(topic, 0, offset, 0, value))
    for table, found in rows.items():
        sink.write(table, found)
    yield ClickHouse(clickhouse.url, clickhouse.user, settings.clickhouse_database, clickhouse.password)
    connection.execute(f"DROP DATABASE {settings.clickhouse_database}")
    connection.close()


def test_there_are_ten_of_them() -> None:
    assert list(QUERIES) == list(range(1, 11))


def test_the_cells_of_the_demo_are_the_sums_of_its_sms(demo: ClickHouse) -> None:
    """For every window of sending and every route; the price in whole units of the eighth decimal."""
    route = "country, operator, sender, application_name, originating_service, label"
    cells = f"SELECT window_start AS at, {route}, parts, delivered, final, price_total, unpriced FROM delivery_cells"
    window = "toDateTime64(toStartOfFiveMinutes(sending_at), 3, 'UTC')"
    sums = "count(), countIf(status = 'Delivered'), countIf(is_final), sum(price), countIf(isNull(price))"
    single = f"SELECT {window} AS at, {route}, {sums} FROM sms GROUP BY ALL"
    found, expected = (
        sorted(map(str, demo.rows(f"SELECT tuple(*) AS row FROM ({query})"))) for query in (cells, single)
    )
    assert len(expected) > 100
    assert found == expected


def test_the_demo_has_answers_to_its_questions(demo: ClickHouse) -> None:
    """The table by operator and hour: all SMS were sent within the first hour, and the largest route comes first."""
    answers = [list(demo.rows(query.sql)) for query in DEMO_QUERIES]
    assert all(answers)
    hours, *_ = answers
    assert {row["hour"] for row in hours} == {"2026-11-21T00:00:00Z"}
    assert [(row["operator"], row["sms"], row["delivered"]) for row in hours[:2]] == [
        ("Cosmote", 1722, 1651),
        ("Vodafone", 1078, 1020),
    ]


@pytest.mark.parametrize("number", range(1, 11))
def test_the_answer_is_the_one_that_stands_below_the_query(demo: ClickHouse, number: int) -> None:
    sql, shown = QUERIES[number]
    # The traffic of the demo is that of yesterday; this one has a day that stays.
    sql = sql.replace("yesterday()", f"toDate('{DAY}')")
    headers = {"X-ClickHouse-User": demo.user, "X-ClickHouse-Key": demo.password}
    request = urllib.request.Request(f"{demo.url}/?database={demo.database}&{ASKED}", sql.encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the engine of the tests
        assert answer.read().decode() == shown


def test_the_runbook_asks_for_views_by_their_whole_names() -> None:
    assert len(AT_NIGHT) == 5
    assert [query for query in AT_NIGHT if "FROM routee." not in query and "FROM system." not in query] == []


@pytest.mark.parametrize("query", AT_NIGHT)
def test_a_query_of_the_runbook_is_answered(demo: ClickHouse, query: str) -> None:
    list(demo.rows(query.replace("FROM routee.", f"FROM {demo.database}.")))
