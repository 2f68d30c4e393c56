"""
The analysts' views against numbers worked out by hand.
"""
# ruff: noqa: S608 - the SQL is put together from the tests' own words

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import orjson
import pytest

from sinks.cli import run_schema
from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.migrations import known_migrations
from sinks.clickhouse.sink import ClickHouseSink
from sinks.settings import SinksSettings
from sinks.source import Record as Row
from streams.contract.codec import encode
from streams.contract.records import Record, SmsStatus
from tests.behaviour.sinks.records import START, alarm, at, campaign, final, rejection, sms

pytestmark = pytest.mark.clickhouse

HOUR = timedelta(hours=1)
NINE = START.replace(tzinfo=None)
DAY = START.date()
PRICE = Decimal("0.006")


def write(tables: ClickHouse, table: str, records: Sequence[Record]) -> None:
    rows = [Row("topic", 1, offset, 0, encode(record)) for offset, record in enumerate(records)]
    ClickHouseSink(tables).write(table, rows)


@pytest.fixture
def sent(tables: ClickHouse) -> ClickHouse:
    """
    Ten parts: four Delivered, one Undelivered, one Failed, one Unsent, one Sent, one Queued, one unknown.

    Seven of them went to Greece (Cosmote 5, none 2) and three to Germany (Telekom).
    """
    german = {"country": "DE", "operator": "Telekom", "sender": "Laden", "price": Decimal("0.07")}
    write(
        tables,
        "sms_status",
        [
            # An older revision and a doubled one: neither may count.
            sms("a", price=Decimal(9)),
            final("a", "Delivered", 2.0),
            final("a", "Delivered", 2.0),
            final(
                "b", "Delivered", 4.0, queued_at=START + HOUR, first_received_at=START + HOUR, final_at=START + 2 * HOUR
            ),
            final("c", "Delivered", 30.0, final_at=START + HOUR),
            final("d", "Undelivered", 3.0, detailed_status="Expired", conflicts=2),
            final(
                "e",
                "Failed",
                None,
                operator=None,
                detailed_status="InvalidNumber",
                price=None,
                queued_at=None,
                final_at=None,
            ),
            sms("f", status="Sent", revision=2, operator=None),
            sms("g", status="Queued"),
            final("h", "Delivered", None, **german),
            final("i", "Unsent", 0.0, **german, conflicts=1),
            sms("j", status="Network Error", **german),
        ],
    )
    return tables


def found(tables: ClickHouse, sql: str) -> list[tuple[Any, ...]]:
    return tables.rows(sql)


COUNTS = "sms, final, delivered, undelivered, failed, unsent, delivered_per_final, delivered_per_accepted"


def test_sms_has_each_part_once_in_its_latest_state(sent: ClickHouse) -> None:
    assert found(sent, "SELECT count(), uniqExact(sms_key) FROM sms") == [(10, 10)]
    assert found(sent, "SELECT status, revision, price FROM sms WHERE sms_key = 'a'") == [("Delivered", 3, PRICE)]


def test_the_history_has_each_revision_once(sent: ClickHouse) -> None:
    assert found(sent, "SELECT revision, status FROM sms_history WHERE sms_key = 'a' ORDER BY revision") == [
        (1, "Queued"),
        (3, "Delivered"),
    ]


def test_an_older_revision_that_comes_later_changes_nothing(sent: ClickHouse) -> None:
    write(sent, "sms_status", [sms("a", revision=2, status="Sent")])
    assert found(sent, "SELECT status, revision FROM sms WHERE sms_key = 'a'") == [("Delivered", 3)]
    assert found(sent, "SELECT count() FROM sms_history WHERE sms_key = 'a'") == [(3,)]


def begun_anew(key: str) -> list[SmsStatus]:
    """Return records of an SMS that was forgotten after nine revisions, and heard of again a day later."""
    return [
        sms(key, generation=1, revision=1),
        sms(key, generation=1, revision=9, status="Delivered"),
        sms(key, generation=4, revision=1, first_received_at=at(100_000)),
        sms(key, generation=4, revision=2, first_received_at=at(100_000), status="Sent"),
    ]


@pytest.mark.parametrize("at_once", [True, False], ids=["one insert", "four"])
def test_an_sms_that_begins_anew_has_one_row_the_newer(tables: ClickHouse, *, at_once: bool) -> None:
    """In any order, also when a former life is inserted again after the newer one; the history has both."""
    orders = {f"again-{number}": order for number, order in enumerate(permutations(range(4)))}
    inserts = [[begun_anew(key)[order[turn]] for key, order in orders.items()] for turn in range(4)]
    for records in [[record for some in inserts for record in some]] if at_once else inserts:
        write(tables, "sms_status", records)
    write(tables, "sms_status", [sms("another"), *(record for key in orders for record in begun_anew(key)[:2])])
    newest = {(key, 4, 2, "Sent", NINE + timedelta(seconds=100_000)) for key in orders}
    for _ in range(2):
        rows = found(tables, "SELECT sms_key, generation, revision, status, first_received_at FROM sms")
        assert sorted(rows) == sorted({*newest, ("another", 0, 1, "Queued", NINE)})
        assert found(tables, "SELECT sum(sms) FROM conflicting_finals") == [(len(orders) + 1,)]
        assert found(tables, "SELECT count() FROM sms_history WHERE generation > 0") == [(4 * len(orders),)]
        tables.execute("OPTIMIZE TABLE sms_status FINAL")


def test_a_rebuild_leaves_one_row_of_each_the_newer_and_both_histories(tables: ClickHouse) -> None:
    """Revisions begin at 1 again, most SMS with the beginning that they had, some with a later one."""
    before = [sms(key, generation=2, revision=revision) for key in ("same", "later") for revision in (1, 2, 3)]
    write(tables, "sms_status", before)
    anew = {"same": START, "later": at(60)}
    write(
        tables,
        "sms_status",
        [sms(key, generation=9, revision=n, first_received_at=first) for key, first in anew.items() for n in (1, 2)],
    )
    assert found(tables, "SELECT sms_key, generation, revision FROM sms ORDER BY sms_key") == [
        ("later", 9, 2),
        ("same", 9, 2),
    ]
    revisions = "SELECT sms_key, generation, revision FROM sms_history ORDER BY ALL"
    assert len(found(tables, revisions)) == 10


def test_former_lives_of_one_generation_are_told_by_their_revision(tables: ClickHouse) -> None:
    """Records of 0.1.0 have no generation. The newer one may change as long as both come."""

    def lives(first: int, later: int) -> list[Record]:
        return [sms("old", revision=first), sms("old", revision=later, first_received_at=at(90))]

    for revisions, newest in (((3, 1), 3), ((3, 2), 3), ((1, 4), 4), ((3, 2), 4)):
        for record in lives(*revisions):
            write(tables, "sms_status", [record])
        assert found(tables, "SELECT revision FROM sms") == [(newest,)]


def test_every_field_of_an_sms_arrives_as_it_was_written(tables: ClickHouse) -> None:
    record = final(
        "x", "Undelivered", 12.5, detailed_status="Expired", status_description="too late", label="l", conflicts=1
    )
    write(tables, "sms_status", [record])
    columns = list(type(record).model_fields)
    quoted = ", ".join(f"`{column}`" for column in columns)
    ((*values,),) = found(tables, f"SELECT {quoted} FROM sms")
    for column, value in zip(columns, values, strict=True):
        expected = getattr(record, column)
        assert value == (expected.replace(tzinfo=None) if hasattr(expected, "tzinfo") else expected), column


def test_delivery_by_final_hour_counts_the_sms_that_became_final_in_it(sent: ClickHouse) -> None:
    assert found(sent, f"SELECT day, hour, {COUNTS} FROM delivery_by_final_hour ORDER BY hour") == [
        (DAY, NINE, 5, 5, 2, 1, 1, 1, 2 / 5, 2 / 5),
        (DAY, NINE + HOUR, 1, 1, 1, 0, 0, 0, 1.0, 1.0),
        (DAY, NINE + 2 * HOUR, 1, 1, 1, 0, 0, 0, 1.0, 1.0),
    ]


def test_failure_reasons(sent: ClickHouse) -> None:
    assert found(sent, "SELECT * FROM failure_reasons ORDER BY status") == [
        (DAY, "GR", None, "Failed", "InvalidNumber", 1),
        (DAY, "GR", "Cosmote", "Undelivered", "Expired", 1),
        (DAY, "DE", "Telekom", "Unsent", None, 1),
    ]


def test_days_of_single_sms_are_those_of_their_sending_in_the_zone(sent: ClickHouse, settings: SinksSettings) -> None:
    """Half past six in the evening of UTC is midnight in Kolkata; `sending_at` counts before any other date."""
    run_schema(settings.model_copy(update={"clickhouse_time_zone": "Asia/Kolkata"}))
    for hours, day in ((9, DAY), (10, DAY + timedelta(days=1))):
        late = final("late", "Failed", revision=hours, sending_at=START + hours * HOUR, sent_from="sent")
        write(sent, "sms_status", [late])
        days = "SELECT DISTINCT day FROM {} WHERE operator = 'Cosmote' ORDER BY day DESC LIMIT 1"
        for view in ("failure_reasons", "conflicting_finals"):
            assert found(sent, days.format(view)) == [(day,)]
    begun = "SELECT toString(hour) FROM delivery_by_final_hour ORDER BY hour LIMIT 1"
    assert found(sent, begun) == [("2026-11-22 14:00:00",)]


def test_conflicting_finals(sent: ClickHouse) -> None:
    assert found(sent, "SELECT * FROM conflicting_finals ORDER BY country, operator") == [
        (DAY, "DE", "Telekom", 3, 1, 1, 1 / 3),
        (DAY, "GR", "Cosmote", 5, 2, 1, 1 / 5),
        (DAY, "GR", None, 2, 0, 0, 0.0),
    ]


def test_campaign_by_operator(sent: ClickHouse) -> None:
    write(sent, "sms_status", [sms("single", campaign_tracking_id=None), sms("other", campaign_tracking_id="two")])
    columns = f"campaign_name, country, operator, {COUNTS}, unpriced, price_total"
    rows = found(
        sent,
        f"SELECT {columns} FROM campaign_by_operator WHERE campaign_tracking_id = 'campaign-1' ORDER BY 2, 3",
    )
    assert rows == [
        ("Spring", "DE", "Telekom", 3, 2, 1, 0, 0, 1, 1 / 2, 1 / 3, 0, Decimal("0.21")),
        ("Spring", "GR", "Cosmote", 5, 4, 3, 1, 0, 0, 3 / 4, 3 / 5, 0, 5 * PRICE),
        ("Spring", "GR", None, 2, 1, 0, 0, 1, 0, 0.0, 0.0, 1, PRICE),
    ]
    assert found(sent, "SELECT count() FROM campaign_by_operator") == [(4,)]


def test_the_curve_of_a_campaign_begins_with_its_first_sms(tables: ClickHouse) -> None:
    """One SMS each 4 minutes from START on, the last a day later; delivered a minute after, but for the third."""
    sent = [0, 240, 480, 720, 86_400]
    records = [
        final(
            f"{number}",
            "Failed" if number == 2 else "Delivered",
            60.0,
            sending_at=at(seconds),
            final_at=at(seconds + 60),
        )
        for number, seconds in enumerate(sent)
    ]
    unasked = [sms("none", campaign_tracking_id=None), sms("waits", campaign_tracking_id="two")]
    write(tables, "sms_status", [*records, *unasked])
    columns = "minutes, started_at, sms, sent, delivered, sent_per_sms, delivered_per_sms"
    rows = found(
        tables, f"SELECT {columns} FROM campaign_curve WHERE campaign_tracking_id = 'campaign-1' ORDER BY minutes"
    )
    curve = {1: (1, 1), 5: (2, 2), 15: (4, 3), 60: (4, 3), 240: (4, 3), 720: (4, 3), 1440: (5, 3), 2880: (5, 4)}
    assert rows == [(step, NINE, 5, *counts, counts[0] / 5, counts[1] / 5) for step, counts in curve.items()]
    waits = "SELECT max(sent), max(delivered) FROM campaign_curve WHERE campaign_tracking_id = 'two'"
    assert found(tables, waits) == [(1, 0)]


def test_the_curve_of_a_campaign_is_the_same_as_before_it_was_made_quick(tables: ClickHouse) -> None:
    """Its steps to the millisecond, deliveries dated before the first sending, records without `sending_at`."""
    chance = random.Random(23)  # noqa: S311 - the same SMS in every run
    ends = [0, *(60 * step for step in (1, 5, 15, 60, 240, 720, 1440, 2880))]

    def near_an_end() -> datetime:
        return at(chance.choice(ends) + chance.choice((-0.001, 0, 0.001, 30)))

    records = []
    for number in range(600):
        sms_of_campaign = final(
            f"{number}",
            chance.choice(("Delivered", "Failed")),
            campaign_tracking_id=chance.choice((None, "one", "two", "three")),
            queued_at=chance.choice((None, near_an_end())),
            sent_at=chance.choice((None, near_an_end())),
            final_at=chance.choice((None, at(-30), near_an_end())),
            status_updated_at=near_an_end(),
        )
        record = orjson.loads(encode(sms_of_campaign))
        record["sending_at"] = record["queued_at"] or record["sent_at"] or record["status_updated_at"]
        if number % 2:
            del record["sending_at"], record["sent_from"]
        records.append(Row("topic", 1, number, 0, orjson.dumps(record)))
    ClickHouseSink(tables).write("sms_status", records)

    (former,) = (part for part in known_migrations()[13].parts if "VIEW campaign_curve" in part)
    select = former.partition("AS ")[2].rpartition("\nCOMMENT")[0]
    rows = found(tables, f"{select} ORDER BY ALL")
    assert found(tables, "SELECT * FROM campaign_curve ORDER BY ALL") == rows
    assert len({row[-3:-1] for row in rows}) > len(ends)


def test_cost_by_campaign_and_month(sent: ClickHouse) -> None:
    """The SMS of a month of sending: the last one was sent in the next."""
    write(sent, "sms_status", [final("k", "Failed", queued_at=at(864_000), price=Decimal("0.5"))])
    prices = "price_total, price_delivered, price_wasted, price_per_delivered"
    columns = f"month, campaign_name, sms, delivered, unpriced, {prices}"
    assert found(sent, f"SELECT {columns} FROM cost_by_campaign ORDER BY month") == [
        (
            *(DAY.replace(day=1), "Spring", 10, 4, 1),
            *map(Decimal, ("0.246", "0.088", "0.076", "0.0615")),
        ),
        (DAY.replace(month=12, day=1), "Spring", 1, 0, 0, Decimal("0.5"), 0, Decimal("0.5"), None),
    ]


def test_the_strategy_of_an_application_follows_from_the_first_statuses(tables: ClickHouse) -> None:
    """OnCompletion shows no SMS before it is final; one in twenty may have lost its first callbacks."""
    staged: dict[str, Any] = {"queued_at": START}
    only: dict[str, Any] = {"queued_at": None, "sent_at": None, "status_updated_at": START}
    of = {
        "changes": [staged] * 19 + [only],
        "completion": [only] * 19 + [staged],
        "both": [staged] * 18 + [only] * 2,
    }
    write(
        tables,
        "sms_status",
        [
            final(f"{name}-{number}", "Delivered", **fields, application_name=name)
            for name, some in of.items()
            for number, fields in enumerate(some)
        ]
        + [sms("open", status="Sent", application_name="starts", **only)],
    )
    columns = "application_name, day, sms, staged, only_final, staged_per_sms, strategy"
    assert found(tables, f"SELECT {columns} FROM strategy_by_application ORDER BY 1") == [
        ("both", DAY, 20, 18, 2, 0.9, "mixed"),
        ("changes", DAY, 20, 19, 1, 0.95, "OnChange"),
        ("completion", DAY, 20, 1, 19, 0.05, "OnCompletion"),
        ("starts", DAY, 1, 1, 0, 1.0, "OnChange"),
    ]


def of_message(key: str, status: str, revision: int, of: tuple[int, int] = (1, 1), /, **fields: Any) -> Record:  # noqa: ANN401 - as records take them
    """Return a record of an SMS that tells this state of its message: `of`: its parts, and those seen."""
    state = {
        "message_status": status,
        "message_is_final": status in {"Delivered", "Undelivered", "Failed", "Unsent"},
        "message_parts": of[0],
        "message_parts_seen": of[1],
        "message_revision": revision,
        "message_latency_seconds": 4.0,
        "message_price": of[1] * PRICE,
        "generation": 7,
    }
    return sms(key, **{**state, **fields})


def test_a_message_has_the_state_that_its_newest_record_tells(tables: ClickHouse) -> None:
    """In any order of the records, and against the fields of the SMS themselves: the rule is that of streams."""
    two = {"message_id": "two", "parts": 2}
    write(
        tables,
        "sms_status",
        [
            of_message("b", "Failed", 4, (2, 2), **two, part=2, received_at=at(9), message_previous_status="Sent"),
            of_message("a", "Sent", 1, (2, 1), **two),
            of_message("a", "Sent", 3, (2, 2), **two, status="Delivered", is_final=True, revision=2),
            of_message("c", "Delivered", 900, message_id="anew", generation=6),
            of_message("c", "Queued", 1, message_id="anew", first_received_at=at(500)),
            sms("d", message_id="of 0.1.0"),
        ],
    )
    columns = (
        "message_id, status, previous_status, is_final, parts, parts_seen, latency_seconds, price, generation, revision"
    )
    assert found(tables, f"SELECT {columns} FROM messages ORDER BY message_id") == [
        ("anew", "Queued", None, False, 1, 1, 4.0, PRICE, 7, 1),
        ("two", "Failed", "Sent", True, 2, 2, 4.0, 2 * PRICE, 7, 4),
    ]
    assert found(tables, "SELECT first_received_at, received_at FROM messages WHERE message_id = 'two'") == [
        (NINE, NINE + timedelta(seconds=9))
    ]


def test_missing_parts_are_named(tables: ClickHouse) -> None:
    write(
        tables,
        "sms_status",
        [
            *[
                of_message(f"a{part}", "Sent", part, (4, seen), message_id="a", part=part, parts=4)
                for part, seen in ((1, 1), (3, 2))
            ],
            *[of_message(f"b{part}", "Sent", part, (2, part), message_id="b", part=part, parts=2) for part in (1, 2)],
            of_message("c", "Sent", 1),
            of_message("d", "Sent", 1, (2, 1), message_id="d", part=None, parts=2),
            of_message("e", "Sent", 1, (1_000_000_000, 1), message_id="e", campaign_tracking_id=None),
        ],
    )
    columns = "message_id, campaign_tracking_id, parts, parts_seen, length(missing), arraySlice(missing, 1, 3)"
    assert found(tables, "SELECT DISTINCT first_received_at, received_at FROM missing_parts") == [(NINE, NINE)]
    assert found(tables, f"SELECT {columns} FROM missing_parts ORDER BY message_id") == [
        ("a", "campaign-1", 4, 2, 2, [2, 4]),
        ("d", "campaign-1", 2, 1, 1, [2]),
        ("e", None, 1_000_000_000, 1, 254, [2, 3, 4]),
    ]


def test_stuck_messages_are_those_not_final_for_longer_than_asked(tables: ClickHouse) -> None:
    ((now,),) = found(tables, "SELECT now64(3, 'UTC')")
    now = now.replace(tzinfo=START.tzinfo)
    young = {"queued_at": now, "first_received_at": now}
    write(
        tables,
        "sms_status",
        [
            sms("old", sending_at=now - 2 * HOUR, first_received_at=now, status_updated_at=now - HOUR),
            sms("sent", status="Sent", sending_at=now - 3 * HOUR, first_received_at=now),
            sms("seen", status="Network Error", queued_at=None, first_received_at=now - 4 * HOUR),
            sms("young", **young),
            final("done", "Delivered", queued_at=now - 2 * HOUR, first_received_at=now - 2 * HOUR),
        ],
    )

    def asked(seconds: int) -> list[tuple[str, str, int]]:
        view = f"stuck_messages(older_than_seconds = {seconds})"
        rows = found(tables, f"SELECT sms_key, status, age_seconds FROM {view} ORDER BY age_seconds")
        return [(key, status, round(age / 3600)) for key, status, age in rows]

    assert asked(3600) == [("old", "Queued", 2), ("sent", "Sent", 3), ("seen", "Network Error", 4)]
    assert asked(3 * 3600 + 600) == [("seen", "Network Error", 4)]
    columns = "recipient, sender, campaign_name, application_name, status_updated_at, received_at"
    rows = found(tables, f"SELECT {columns} FROM stuck_messages(older_than_seconds = 60) WHERE sms_key = 'old'")
    assert rows == [("+306900000001", "Shop", "Spring", "default", (now - HOUR).replace(tzinfo=None), NINE)]


@pytest.mark.parametrize(("known", "hours"), [("queued_at", 2), ("sent_at", 3), (None, 0)])
def test_stuck_messages_of_a_version_without_sending_at_count_from_queued_or_sent(
    tables: ClickHouse, known: str | None, hours: int
) -> None:
    ((now,),) = found(tables, "SELECT now64(3, 'UTC')")
    now = now.replace(tzinfo=START.tzinfo)
    dates = {"queued_at": None, "sent_at": None} | ({known: now - hours * HOUR} if known else {})
    record = orjson.loads(encode(sms("old", first_received_at=now - timedelta(minutes=5), **dates)))
    del record["sending_at"], record["sent_from"]
    ClickHouseSink(tables).write("sms_status", [Row("topic", 1, 0, 0, orjson.dumps(record))])
    ((age,),) = found(tables, "SELECT age_seconds FROM stuck_messages(older_than_seconds = 60)")
    assert round(age / 3600) == hours


def test_campaigns_have_their_latest_progress(tables: ClickHouse) -> None:
    newest = campaign("one", revision=3, messages_by_status={"Delivered": 10}, drift={}, reconciliation="consistent")
    write(tables, "campaign_progress", [campaign("one"), newest, campaign("one", revision=2), campaign("two")])
    assert found(tables, "SELECT campaign_tracking_id, revision, messages_by_status FROM campaigns ORDER BY 1") == [
        ("one", 3, {"Delivered": 10}),
        ("two", 1, {"Sent": 5, "Delivered": 4, "Failed": 1}),
    ]
    assert found(tables, "SELECT count() FROM campaign_history") == [(4,)]


def test_alarms_have_their_latest_state_and_the_history_has_every_time(tables: ClickHouse) -> None:
    """In any order: a revision of an older generation is older, and each month has its own partition of the history."""
    closing = {"is_open": False, "closed_at": at(600), "closed_because": "recovered"}
    later = START + timedelta(days=40)
    sender = {"subject": '["GR","Cosmote","Shop"]', "scope": "sender", "sender": "Shop", "only_sender": True}
    account = {"subject": "account", "scope": "account", "country": None, "routes": [["GR", "A"], ["", "B"]]}
    write(
        tables,
        "delivery_alarms",
        [
            alarm(opened_at=later, revision=2, generation=8),
            alarm(revision=9, **closing),
            alarm(revision=9, **closing),
            alarm(revision=4),
            alarm(muted_until=later, **sender),
            alarm(until=None, judged={}, **account),
        ],
    )
    columns = "subject, is_open, opened_at, muted_until, routes, judged"
    judged = {"deviance": 88.5, "threshold": 22.0}
    ending = later.replace(tzinfo=None)
    assert found(tables, f"SELECT {columns} FROM alarms ORDER BY length(subject)") == [
        ("account", True, NINE, None, [["GR", "A"], ["", "B"]], {}),
        ('["GR","Cosmote"]', True, ending, None, [], judged),
        ('["GR","Cosmote","Shop"]', True, NINE, ending, [], judged),
    ]
    assert found(tables, "SELECT count() FROM alarm_history") == [(5,)]


def test_a_campaign_without_a_report_has_an_empty_one(tables: ClickHouse) -> None:
    unreported: dict[str, Any] = {
        "reported_by_status": None,
        "reconciliation": "unreported",
        "reconciliation_unit": None,
        "drift": {},
    }
    write(tables, "campaign_progress", [campaign("one", **unreported)])
    assert found(tables, "SELECT reported_by_status, reconciliation_unit, drift FROM campaigns") == [({}, None, {})]


def test_campaign_reconciliation(tables: ClickHouse) -> None:
    write(tables, "campaign_progress", [campaign("one")])
    columns = "campaign_tracking_id, name, campaign_status, reconciliation, reconciliation_unit, total_recipients"
    assert found(tables, f"SELECT {columns}, messages, parts, drift FROM campaign_reconciliation") == [
        ("one", "Spring", "Running", "mixed", "messages", 10, 10, 11, {"Delivered": -1, "Failed": 1})
    ]


def test_rejections_are_kept_once_per_position(tables: ClickHouse) -> None:
    at_ingest = {"stage": "ingest", "reason": "not-json", "partition": None, "offset": None, "index": None}
    again = [
        rejection(),
        rejection(index=5),
        rejection(detail="the same callback, refused again in a replay"),
        rejection(**at_ingest, body=None, body_base64="//4="),
        rejection(**at_ingest),
        rejection(partition=1, offset=3, index=0),  # the raw position equals the place of another one in this topic
    ]
    write(tables, "rejected_callbacks", again)
    write(tables, "rejected_callbacks", again)
    columns = "stage, reason, `partition`, `offset`, `index`, body, body_base64, topic_partition, topic_offset"
    assert found(tables, f"SELECT {columns} FROM rejections ORDER BY topic_offset") == [
        ("streams", "invalid-field", 3, 12, 5, '{"messageId":"1"}', None, 1, 1),
        ("streams", "invalid-field", 3, 12, 4, '{"messageId":"1"}', None, 1, 2),
        ("ingest", "not-json", None, None, None, None, "//4=", 1, 3),
        ("ingest", "not-json", None, None, None, '{"messageId":"1"}', None, 1, 4),
        ("streams", "invalid-field", 1, 3, 0, '{"messageId":"1"}', None, 1, 5),
    ]


def test_lost_callbacks_are_counted_by_day_and_application(tables: ClickHouse) -> None:
    """
    Of ten final SMS six have both stages and three have one: 3 / (3 + 2 * 6) = 0.2 of the callbacks are lost.

    One has none, like SMS of OnCompletion; a Failed one was perhaps never sent, so its stages tell nothing.
    """
    ((now,),) = found(tables, "SELECT now64(3, 'UTC')")
    recent = now.replace(tzinfo=START.tzinfo)
    both: dict[str, Any] = {"queued_at": START, "sent_at": at(1)}
    pulled: dict[str, Any] = {"source": "pull"}
    write(
        tables,
        "sms_status",
        [
            *[final(f"both-{number}", "Delivered", **both) for number in range(5)],
            final("both-5", "Undelivered", **both, **pulled),
            final("queued", "Delivered", queued_at=START, sent_at=None, sending_at=START),
            final("sent", "Delivered", queued_at=None, sent_at=START, **pulled),
            final("sent-2", "Delivered", queued_at=None, sent_at=START),
            final("none", "Delivered", queued_at=None, sent_at=None),
            final("failed", "Failed", queued_at=START, sent_at=None),
            sms("open", queued_at=START),
            sms("young", queued_at=START, received_at=recent),
            # Two of its three parts were never heard of; it is open as well.
            of_message("part", "Sent", 1, (3, 1), message_id="three", queued_at=START),
            final("other", "Delivered", application_name="second", queued_at=None, sent_at=None, **pulled),
            sms("next day", queued_at=START + 24 * HOUR),
        ],
    )
    columns = "application_name, sms, healed, still_missing, both_stages, one_stage, loss_estimate"
    assert found(tables, f"SELECT day, {columns} FROM lost_callbacks ORDER BY day, application_name") == [
        (DAY, "default", 14, 2, 4, 6, 3, 0.2),
        (DAY, "second", 1, 1, 0, 0, 0, None),
        (DAY + 24 * HOUR, "default", 1, 0, 1, 0, 0, None),
    ]


def test_routee_tells_the_missing_parts_until_a_moment(tables: ClickHouse) -> None:
    """For seven days after the first callback of a message, of any part; then it is gone, with its price."""
    ((now,),) = found(tables, "SELECT now64(3, 'UTC')")
    now = now.replace(tzinfo=START.tzinfo)
    days = [now - timedelta(days=number) for number in range(10)]

    def heard(first: Any, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        return {"first_received_at": first, "received_at": first, "price": PRICE, **fields}

    write(
        tables,
        "sms_status",
        [
            of_message("a", "Sent", 1, (2, 1), message_id="a", **heard(days[6])),
            of_message("b", "Sent", 2, (2, 2), message_id="b", part=2, **heard(days[6] + HOUR)),
            of_message("b-1", "Sent", 1, (2, 1), message_id="b", **heard(days[6])),
            of_message("second", "Sent", 1, message_id="second", **heard(days[6], application_name="second")),
            of_message("gone", "Sent", 1, message_id="gone", **heard(days[9])),
            of_message("young", "Sent", 1, message_id="young", **heard(now)),
            of_message("done", "Delivered", 1, message_id="done", **heard(days[6])),
        ],
    )
    columns = "application_name, is_gone, messages, price_total, deadline, seconds_left"
    rows = found(tables, f"SELECT {columns} FROM backfill_deadline ORDER BY deadline, application_name")
    assert [(name, is_gone, count, price) for name, is_gone, count, price, *_ in rows] == [
        ("default", True, 1, PRICE),
        ("default", False, 2, 3 * PRICE),
        ("second", False, 1, PRICE),
    ]
    week = timedelta(days=7)
    assert [row[4].replace(tzinfo=START.tzinfo) for row in rows] == [days[9] + week, days[6] + week, days[6] + week]
    gone, *left = [row[5] for row in rows]
    assert gone == 0
    assert all(86_400 - 120 < seconds <= 86_400 for seconds in left)


def test_sms_are_told_as_of_a_past_moment(tables: ClickHouse) -> None:
    """The newest change that was received by then, as all before it; a key not heard of by then has no row."""
    write(
        tables,
        "sms_status",
        [
            sms("a", revision=1, status="Queued", received_at=at(0)),
            sms("a", revision=2, status="Sent", received_at=at(10)),
            final("a", "Delivered", revision=3, received_at=at(20)),
            # Begun anew: its revisions begin at 1 again.
            sms("a", revision=1, generation=5, status="Queued", received_at=at(40), first_received_at=at(40)),
            sms("b", revision=1, status="Sent", received_at=at(15), first_received_at=at(15)),
            # Received before revision 1, which was taken in first.
            sms("c", revision=1, status="Sent", received_at=at(12), first_received_at=at(12)),
            sms("c", revision=2, status="Sent", received_at=at(11), first_received_at=at(12)),
            # A status of second 12 that was redriven after the final one: it has that one's status.
            sms("d", revision=1, status="Queued", received_at=at(11), first_received_at=at(11)),
            final("d", "Delivered", revision=2, received_at=at(15), first_received_at=at(11)),
            final("d", "Delivered", revision=3, received_at=at(12), first_received_at=at(11)),
        ],
    )

    def asked(seconds: float) -> list[tuple[str, str, int, int]]:
        moment = at(seconds).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        columns = "sms_key, status, generation, revision"
        return found(tables, f"SELECT {columns} FROM sms_as_of(at = '{moment}') ORDER BY sms_key")

    assert asked(-0.001) == []
    assert asked(0) == [("a", "Queued", 0, 1)]
    assert asked(9.999) == [("a", "Queued", 0, 1)]
    assert asked(11) == [("a", "Sent", 0, 2), ("d", "Queued", 0, 1)]
    assert asked(13) == [("a", "Sent", 0, 2), ("c", "Sent", 0, 2), ("d", "Queued", 0, 1)]
    others = [("b", "Sent", 0, 1), ("c", "Sent", 0, 2), ("d", "Delivered", 0, 3)]
    assert asked(16) == [("a", "Sent", 0, 2), *others]
    assert asked(39) == [("a", "Delivered", 0, 3), *others]
    assert asked(40) == [("a", "Queued", 5, 1), *others]


def test_campaigns_are_told_as_of_a_past_moment(tables: ClickHouse) -> None:
    """The newest progress of which all callbacks were received by then."""
    write(
        tables,
        "campaign_progress",
        [
            campaign("one", revision=1, messages=1, last_received_at=at(1)),
            campaign("one", revision=4, messages=4, last_received_at=at(30)),
            campaign("two", revision=2, messages=2, last_received_at=at(20)),
        ],
    )

    def asked(seconds: float) -> list[tuple[str, int]]:
        moment = at(seconds).strftime("%Y-%m-%d %H:%M:%S")
        view = f"campaigns_as_of(at = '{moment}')"
        return found(tables, f"SELECT campaign_tracking_id, messages FROM {view} ORDER BY 1")

    assert asked(0) == []
    assert asked(1) == [("one", 1)]
    assert asked(29) == [("one", 1), ("two", 2)]
    assert asked(30) == [("one", 4), ("two", 2)]
