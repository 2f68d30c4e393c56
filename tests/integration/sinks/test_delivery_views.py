"""
The views over the cells of deliveries against numbers worked out by hand, in zones of every kind.
"""
# ruff: noqa: S608 - the SQL is put together from the tests' own words

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sinks.cli import run_schema
from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.differences import Comparison
from sinks.clickhouse.migrate import look, verify
from sinks.clickhouse.sink import ClickHouseSink
from sinks.errors import SchemaError
from sinks.settings import SinksSettings
from sinks.source import Record as Row
from streams.contract.codec import encode
from streams.contract.records import DeliveryWindow
from tests.behaviour.sinks.records import START, cell
from tests.integration.sinks.older import apply_until

pytestmark = pytest.mark.clickhouse

BEFORE = 20
"""The last file before the counts of cells are stored in few bits."""
HOUR = timedelta(hours=1)
DAY, NINE = START.date(), START.replace(tzinfo=None)


def write(tables: ClickHouse, *records: DeliveryWindow) -> None:
    rows = [Row("topic", 1, offset, 0, encode(record)) for offset, record in enumerate(records)]
    ClickHouseSink(tables).write("delivery_windows", rows)


def no_sms(start: datetime, **fields: Any) -> DeliveryWindow:  # noqa: ANN401 - fields of the record
    """Return a cell that all its SMS have left."""
    zeros: dict[str, Any] = dict.fromkeys(
        ("messages", "parts", "conflicts", "unpriced", "price_total", "price_delivered", "price_undelivered"), 0
    )
    zeros |= {"messages_by_status": {}, "parts_by_status": {}, "delivered_by_latency": {}}
    return cell(start, **zeros, **fields)


@pytest.fixture
def sent(tables: ClickHouse) -> ClickHouse:
    """
    Four cells of 27 SMS: two of the hour at nine and one of the hour at ten to Greece, one to Germany at nine.

    Germany is of OnCompletion, so all of it is final. An older revision and a cell without an SMS count nothing.
    """
    german: dict[str, Any] = {
        "country": "DE", "operator": "Telekom", "sender": "Laden", "application_name": "second", "label": "spring",
        "messages": 4, "messages_by_status": {"Delivered": 3, "Unsent": 1},
        "parts": 4, "parts_by_status": {"Delivered": 3, "Unsent": 1}, "conflicts": 0,
        "delivered_by_latency": {"1": 1, "3600": 1, "more": 1}, "unpriced": 0,
        "price_total": Decimal("0.28"), "price_delivered": Decimal("0.21"), "price_undelivered": Decimal("0.07"),
    }  # fmt: skip
    later: dict[str, Any] = {
        "operator": None, "sender": "other", "label": "other",
        "messages": 3, "messages_by_status": {"Queued": 2, "Network Error": 1},
        "parts": 3, "parts_by_status": {"Queued": 2, "Network Error": 1}, "conflicts": 0,
        "delivered_by_latency": {}, "unpriced": 3, "price_total": 0, "price_delivered": 0, "price_undelivered": 0,
    }  # fmt: skip
    write(
        tables,
        cell(revision=2),
        cell(parts=99, parts_by_status={"Delivered": 99}),
        cell(START + timedelta(minutes=55)),
        cell(START + HOUR, **later),
        cell(**german),
        cell(country="FR", revision=1),
        no_sms(START, country="FR", revision=2),
    )
    return tables


COUNTS = "messages, sms, final, delivered, undelivered, failed, unsent, delivered_per_final, delivered_per_accepted"
GREEK = (18, 20, 18, 12, 4, 2, 0, 12 / 18, 12 / 20)
GERMAN = (4, 4, 4, 3, 0, 0, 1, 3 / 4, 3 / 4)
LATER = (3, 3, 0, 0, 0, 0, 0, None, 0.0)


@pytest.mark.parametrize(
    ("view", "keys", "german", "greek", "later"),
    [
        ("delivery_by_country", "country", ("DE",), ("GR",), ("GR",)),
        ("delivery_by_operator", "country, operator", ("DE", "Telekom"), ("GR", "Cosmote"), ("GR", None)),
        ("delivery_by_sender", "country, sender", ("DE", "Laden"), ("GR", "Shop"), ("GR", "other")),
        (
            "delivery_by_application",
            "country, application_name",
            ("DE", "second"),
            ("GR", "default"),
            ("GR", "default"),
        ),
        ("delivery_by_label", "label", ("spring",), (None,), ("other",)),
    ],
)
def test_deliveries_by_hour_of_sending_and(  # noqa: PLR0917 - the expected rows
    sent: ClickHouse,
    view: str,
    keys: str,
    german: tuple[str | None, ...],
    greek: tuple[str | None, ...],
    later: tuple[str | None, ...],
) -> None:
    rows = sent.rows(f"SELECT day, hour, {keys}, {COUNTS} FROM {view} ORDER BY hour, {keys} NULLS LAST")
    assert rows == [
        (DAY, NINE, *german, *GERMAN),
        (DAY, NINE, *greek, *GREEK),
        (DAY, NINE + HOUR, *later, *LATER),
    ]


def test_deliveries_by_hour_of_sending(sent: ClickHouse) -> None:
    assert sent.rows(f"SELECT day, hour, {COUNTS} FROM delivery_by_hour ORDER BY hour") == [
        (DAY, NINE, 22, 24, 22, 15, 4, 2, 1, 15 / 22, 15 / 24),
        (DAY, NINE + HOUR, *LATER),
    ]


def test_the_share_within_so_many_seconds_is_of_the_delivered_that_have_a_latency(sent: ClickHouse) -> None:
    bounds = ("10s", "30s", "60s", "120s", "300s", "900s", "3600s")
    columns = ", ".join([f"within_{bound}" for bound in bounds] + [f"within_{bound}_per_timed" for bound in bounds])
    rows = sent.rows(f"SELECT operator, delivered, timed, {columns} FROM sla_by_operator ORDER BY hour, operator")
    assert rows == [
        ("Cosmote", 12, 10, 6, 10, 10, 10, 10, 10, 10, 0.6, 1, 1, 1, 1, 1, 1),
        ("Telekom", 3, 3, *[1] * 6, 2, *[1 / 3] * 6, 2 / 3),
        (None, 0, 0, *[0] * 7, *[None] * 7),
    ]


def test_a_quantile_of_the_latency_is_a_bound_of_the_histogram(sent: ClickHouse) -> None:
    rows = sent.rows(
        "SELECT operator, delivered, timed, p50, p90, p99 FROM latency_by_operator ORDER BY hour, operator"
    )
    assert rows == [
        ("Cosmote", 12, 10, 5, 30, 30),
        ("Telekom", 3, 3, 3600, None, None),
        (None, 0, 0, None, None, None),
    ]
    within = "SELECT sumForEach(within) FROM latency_by_operator"
    assert sent.rows(within) == [([1, 1, 7, 7, 7, 11, 11, 11, 11, 11, 11, 11, 12, 12, 12, 12, 13],)]


def test_quantiles_are_those_of_a_hundred_numbers(tables: ClickHouse) -> None:
    """At most 50 of them within 60 s: the half lies there; 90 within 300 s, 99 within a day."""
    write(tables, cell(delivered_by_latency={"1": 1, "60": 49, "300": 40, "86400": 9, "more": 1}))
    assert tables.rows("SELECT p50, p90, p99 FROM latency_by_operator") == [(60, 300, 86400)]


COST = "sms, delivered, unpriced, price_total, price_delivered, price_wasted, price_per_delivered"


def money(*texts: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, texts))


def test_cost_per_hour_day_and_month(sent: ClickHouse) -> None:
    german, greek = (4, 3, 0, *money("0.28", "0.21", "0.07", "0.09333333")), (20, 12, 2)
    of_nine = (*greek, *money("0.108", "0.072", "0.024", "0.009"))
    assert sent.rows(f"SELECT hour, country, {COST} FROM cost_by_country ORDER BY hour, country") == [
        (NINE, "DE", *german),
        (NINE, "GR", *of_nine),
        (NINE + HOUR, "GR", 3, 0, 3, 0, 0, 0, None),
    ]
    for view, period in (("cost_by_day", DAY), ("cost_by_month", DAY.replace(day=1))):
        first = view.rpartition("_")[2]
        rows = sent.rows(f"SELECT {first}, operator, application_name, {COST} FROM {view} ORDER BY operator NULLS LAST")
        assert rows == [
            (period, "Cosmote", "default", *of_nine),
            (period, "Telekom", "second", *german),
            (period, None, "default", 3, 0, 3, 0, 0, 0, None),
        ]


def test_counts_of_messages_and_conflicts_are_in_the_cells(sent: ClickHouse) -> None:
    sums = "sum(messages), sum(messages_final), sum(messages_delivered), sum(parts), sum(final), sum(conflicts)"
    assert sent.rows(f"SELECT {sums}, count() FROM delivery_cells") == [(25, 20, 13, 27, 22, 2, 4)]


def test_the_newest_record_of_a_cell_counts_in_any_order(tables: ClickHouse) -> None:
    """The higher (generation, revision), inserted at once and one by one, before and after a merge."""
    for number, order in enumerate(permutations(((1, 9), (4, 1), (4, 2), (3, 7)))):
        records = [
            cell(sender=f"{number}", generation=generation, revision=revision, parts=10 * generation + revision)
            for generation, revision in order
        ]
        for some in (records,) if number % 2 else [[record] for record in records]:
            write(tables, *some)
    for _ in range(2):
        assert tables.rows("SELECT parts, count(), uniqExact(cell) FROM delivery_cells GROUP BY parts") == [
            (42, 24, 24)
        ]
        tables.execute("OPTIMIZE TABLE delivery_windows FINAL")


def test_every_field_of_a_cell_arrives_as_it_was_written(tables: ClickHouse) -> None:
    record = cell(label="spring, 'two'", is_closed=True)
    write(tables, record)
    columns = list(type(record).model_fields)
    ((*values,),) = tables.rows(f"SELECT {', '.join(columns)} FROM delivery_cells")
    for column, value in zip(columns, values, strict=True):
        expected = getattr(record, column)
        assert value == (expected.replace(tzinfo=None) if isinstance(expected, datetime) else expected), column


def in_zone(settings: SinksSettings, zone: str) -> SinksSettings:
    return settings.model_copy(update={"clickhouse_time_zone": zone})


CHANGES = {
    "Europe/Athens": (date(2026, 3, 29), date(2026, 10, 25)),
    "Australia/Lord_Howe": (date(2026, 4, 5), date(2026, 10, 4)),
    "America/St_Johns": (date(2026, 3, 8), date(2026, 11, 1)),
    "Asia/Kolkata": (date(2026, 6, 1),),
    "Asia/Kathmandu": (date(2026, 6, 1),),
}
"""Zone → days of a change of clocks, or any day. Lord Howe's clocks change by half an hour."""


@pytest.mark.parametrize("zone", CHANGES)
def test_day_and_hour_are_those_of_the_zone_also_when_clocks_change(
    tables: ClickHouse, settings: SinksSettings, zone: str
) -> None:
    """Compared with Python's own time zones, for each window of the day, of the one before and of the one after."""
    run_schema(in_zone(settings, zone))
    local = ZoneInfo(zone)
    for changed in CHANGES[zone]:
        begin = datetime.combine(changed - timedelta(days=1), datetime.min.time(), local).astimezone(UTC)
        starts = [begin + timedelta(minutes=5 * number) for number in range(3 * 288)]
        write(tables, *(cell(start, parts=1) for start in starts))
        days = Counter(start.astimezone(local).date() for start in starts)
        hours = Counter(int((start - minutes(start.astimezone(local))).timestamp()) for start in starts)
        within = f"day BETWEEN '{min(days)}' AND '{max(days)}'"
        assert dict(tables.rows(f"SELECT day, sum(sms) FROM delivery_by_hour WHERE {within} GROUP BY day")) == days
        found = f"SELECT toUnixTimestamp(hour), sms FROM delivery_by_hour WHERE {within}"
        assert dict(tables.rows(found)) == hours
        shown = tables.rows(f"SELECT DISTINCT toMinute(hour), toTypeName(hour) FROM delivery_by_country WHERE {within}")
        assert {kind for _, kind in shown} == {f"DateTime('{zone}')"}
        assert {minute for minute, _ in shown} <= ({0, 30} if zone == "Australia/Lord_Howe" else {0})


def minutes(local: datetime) -> timedelta:
    return timedelta(minutes=local.minute)


def test_where_clocks_go_back_two_hours_have_one_text_and_two_rows(tables: ClickHouse, settings: SinksSettings) -> None:
    """In Athens 25 October 2026 has 25 hours: 03:00 is there twice, at 00:00 and at 01:00 of UTC."""
    run_schema(in_zone(settings, "Europe/Athens"))
    midnight = datetime(2026, 10, 25, tzinfo=UTC)
    write(tables, cell(midnight), cell(midnight + HOUR, parts=7))
    assert tables.rows("SELECT toString(hour), sms FROM delivery_by_hour ORDER BY hour") == [
        ("2026-10-25 03:00:00", 10),
        ("2026-10-25 03:00:00", 7),
    ]
    assert tables.rows("SELECT day, sum(sms) FROM cost_by_day GROUP BY day") == [(date(2026, 10, 25), 17)]


def test_a_month_ends_in_the_zone(tables: ClickHouse, settings: SinksSettings) -> None:
    run_schema(in_zone(settings, "Asia/Kolkata"))
    write(tables, cell(datetime(2026, 10, 31, 18, 25, tzinfo=UTC)), cell(datetime(2026, 10, 31, 18, 30, tzinfo=UTC)))
    assert tables.rows("SELECT month, sms FROM cost_by_month ORDER BY month") == [
        (date(2026, 10, 1), 10),
        (date(2026, 11, 1), 10),
    ]


def test_views_of_another_zone_are_told_and_made_again(tables: ClickHouse, settings: SinksSettings) -> None:
    write(tables, cell(datetime(2026, 11, 22, 23, tzinfo=UTC)))
    assert tables.value("SELECT day FROM delivery_by_country") == date(2026, 11, 22)
    tables.time_zone = "Europe/Athens"
    lines = [str(difference) for difference in look(tables).differences]
    assert "the view delivery_by_hour has another query than in the schema: run `routee-sinks schema`" in lines
    assert not any(difference.loses_rows for difference in look(tables).differences)
    run_schema(in_zone(settings, "Europe/Athens"))
    assert look(tables) == Comparison()
    assert tables.value("SELECT day FROM delivery_by_country") == date(2026, 11, 23)


def test_a_zone_that_the_server_does_not_know_changes_nothing(tables: ClickHouse, settings: SinksSettings) -> None:
    with pytest.raises(SchemaError, match=r"^CLICKHOUSE_TIME_ZONE=Europe/Nowhere: ClickHouse has no such time zone$"):
        run_schema(in_zone(settings, "Europe/Nowhere"))
    assert look(tables) == Comparison()


def test_a_check_names_a_zone_that_the_server_does_not_know_and_no_view_that_differs_by_it(tables: ClickHouse) -> None:
    tables.time_zone = "Europe/Nowhere"
    with pytest.raises(SchemaError, match=r"^CLICKHOUSE_TIME_ZONE=Europe/Nowhere: ClickHouse has no such time zone$"):
        verify(tables)


def test_a_query_for_a_day_reads_that_day_alone(tables: ClickHouse, settings: SinksSettings) -> None:
    """By the order of the table, in every zone and view: thirty days are there, and a thirtieth is read."""
    run_schema(in_zone(settings, "Asia/Kathmandu"))
    tables.execute(
        "INSERT INTO delivery_inbox (cell, window_start, window_end, country, parts, revision) "
        "SELECT toString(number), at, at + 300, 'GR', 1, 1 FROM (SELECT number, "
        "toDateTime64('2026-11-01 00:00:00', 3, 'UTC') + toIntervalMinute(5 * intDiv(number, 20)) AS at "
        "FROM numbers(172800))"
    )
    tables.execute("OPTIMIZE TABLE delivery_windows FINAL")
    views = ("delivery_by_country", "delivery_by_label", "delivery_by_hour", "sla_by_operator", "cost_by_day")
    granules = {view: granules_of_a_day(tables, view) for view in views}
    assert {view for view, (read, there) in granules.items() if read > 3 or there < 20} == set(), granules


def granules_of_a_day(tables: ClickHouse, view: str) -> tuple[int, int]:
    """Return how many granules a query for one day reads, and how many there are."""
    lines = tables.rows(f"EXPLAIN indexes = 1 SELECT * FROM {view} WHERE day = '2026-11-20'")
    read, there = "\n".join(line for (line,) in lines).rpartition("Granules: ")[2].split("\n")[0].split("/")
    return int(read), int(there)


VIEWS = (
    *("delivery_cells", "delivery_by_country", "delivery_by_operator", "delivery_by_sender", "delivery_by_application"),
    *("delivery_by_label", "delivery_by_hour", "sla_by_operator", "latency_by_operator"),
    *("cost_by_country", "cost_by_day", "cost_by_month"),
)


def answers(tables: ClickHouse) -> list[list[tuple[Any, ...]]]:
    return [tables.rows(f"SELECT * FROM {view} ORDER BY ALL") for view in VIEWS]


def test_counts_in_few_bits_are_those_of_the_rows_that_were_there(empty: ClickHouse, settings: SinksSettings) -> None:
    """In parts of both forms at once and after their merge, with counts up to the greatest."""
    greatest = 2**32 - 1
    old = [cell(START + timedelta(minutes=5 * number), parts=7 * number + 1) for number in range(200)]
    new = [cell(sender=f"{bit}", parts=2**bit, conflicts=greatest - bit) for bit in range(32)]
    apply_until(empty, BEFORE)
    write(empty, *old)
    before = answers(empty)
    assert run_schema(settings) == 0
    assert answers(empty) == before
    write(empty, *new)
    both = answers(empty)
    assert sum(row[0] for row in empty.rows("SELECT parts FROM delivery_cells")) == sum(it.parts for it in old + new)
    assert sum(row[0] for row in empty.rows("SELECT conflicts FROM delivery_cells")) == sum(
        it.conflicts for it in old + new
    )
    empty.execute("OPTIMIZE TABLE delivery_windows FINAL")
    assert answers(empty) == both


def test_every_column_of_cells_that_a_view_sums_or_groups_by_has_a_codec(tables: ClickHouse) -> None:
    """ClickHouse chooses one by the size of a part else; counts are stored in few bits."""
    ours = "WHERE database = currentDatabase()"
    columns = tables.rows(
        f"SELECT name, type, compression_codec FROM system.columns {ours} AND table = 'delivery_windows'"
    )
    selects = tables.rows(f"SELECT as_select FROM system.tables {ours} AND name IN {VIEWS[1:]}")
    words = {"cell", "window_start", "version", *re.findall(r"\w+", " ".join(select for (select,) in selects))}
    read = {name: (kind, codec) for name, kind, codec in columns if name in words}
    assert len(read) > 30
    expected = {name: "CODEC(T64, LZ4)" if kind == "UInt32" else "CODEC(LZ4)" for name, (kind, _) in read.items()}
    assert {name: codec for name, (_, codec) in read.items()} == expected


def test_parts_of_cells_are_merged_after_a_day_in_any_size(tables: ClickHouse) -> None:
    """Late changes reach back over other parts, and a view merges all rows of both."""
    engine = tables.value(
        "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'delivery_windows'"
    )
    assert "min_age_to_force_merge_seconds = 86400" in engine
