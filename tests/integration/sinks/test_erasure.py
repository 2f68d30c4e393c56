"""
An erasure while sinks run, its two commands, and a sink without its key.
"""

import json
import os

import pytest

from sinks.blanking import BODIES
from sinks.clickhouse.client import ClickHouse, connect
from sinks.clickhouse.erasure import TABLES, ClickHouseErasure
from sinks.clickhouse.migrations import known_migrations
from sinks.clickhouse.objects import objects_of
from sinks.clickhouse.sink import ClickHouseSink
from sinks.erasing import Erasing
from sinks.settings import SinksSettings
from sinks.source import Record
from streams.contract.codec import encode
from streams.contract.erasures import BLANKED
from tests.behaviour.sinks.kafka_topics import Topics
from tests.behaviour.sinks.records import at, rejection, sms
from tests.integration.sinks.running import Running
from tests.support.erasures import KEY, MARKS, erasure
from tests.support.forks import run_forked
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

NUMBER, OTHER = "+306900000001", "+306900000002"
VIEWS = (
    "sms",
    "sms_history",
    "messages",
    "message_status",
    "rejections",
    "sms_status",
    "sms_status_history",
    "rejected_callbacks",
)


def send(topics: Topics) -> None:
    """Put two SMS, one of them with a later SMS of its number, and two refused callbacks on the topics."""
    later = dict.fromkeys(("first_received_at", "status_updated_at", "queued_at"), at(3_000))
    message = {"message_status": "Queued", "message_revision": 1}
    values = [
        sms("a", recipient=NUMBER, **message),
        sms("b", recipient=OTHER, **message),
        sms("c", recipient=NUMBER, **message, **later),
    ]
    topics.produce("sms.status", [(0, encode(value)) for value in values])
    bodies = [f'{{"to":"{number}"}}' for number in (NUMBER, OTHER)]
    topics.produce(
        "callbacks.rejected", [(0, encode(rejection(body=body, offset=at))) for at, body in enumerate(bodies)]
    )


def erase(topics: Topics) -> None:
    topics.produce("erasures", [(0, encode(erasure(NUMBER, at(1_000))))])


def command(running: Running, name: str, numbers: str, **environment: str) -> tuple[int, list[dict[str, object]], str]:
    """Run a command with numbers on its input; return its exit code, its lines, and what it said."""
    told = {**os.environ, **running.environment, "ERASURE_KEY": KEY, **environment}
    done = run_forked("sinks", "erasure", name, environment=told, told=numbers)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.timeout(240)
def test_a_running_sink_erases_both_stores_and_the_commands_prove_and_show_it(
    tables: ClickHouse, topics: Topics, running: Running
) -> None:
    send(topics)
    sinks = [running.start(name, ERASURE_KEY=KEY) for name in ("clickhouse", "files")]
    for sink in sinks:
        eventually(lambda sink=sink: sink.metric("routee_sinks_rows_total") == 5, 60)  # type: ignore[misc]
    code, lines, _ = command(running, "export", f"00306900000001\n\n{OTHER}")
    assert code == 0
    found = sorted((line["store"], str(line["place"]).split("/")[0]) for line in lines)
    assert found == sorted(
        [("clickhouse", name) for name in ("sms_status", "sms_status_history", "message_status") for _ in range(3)]
        + [("clickhouse", "rejected_callbacks"), ("files", "rejected_callbacks")] * 2
        + [("files", "sms_status")] * 3
    )
    records = [line["record"] for line in lines if line["place"] == "sms_status"]
    assert {"message", "price", "first_received_at"} <= records[0].keys()  # type: ignore[attr-defined]
    code, lines, _ = command(running, "verify", NUMBER)
    assert (code, [line["found"] for line in lines], [line["not_covered"] for line in lines]) == (0, [0, 0], [7, 3])
    erase(topics)

    def is_erased() -> bool:
        code, lines, _ = command(running, "verify", NUMBER)
        assert [(line["store"], line["found"], line["erased"], line["not_covered"]) for line in lines] == [
            ("clickhouse", 0, 4, 3),
            ("files", 0, 2, 1),
        ]
        return code == 0

    eventually(is_erased, 60, every=0.5)
    for view in VIEWS:
        kept = view.startswith(("sms", "message"))  # the later SMS
        rows = [row for row in tables.records(f"SELECT * FROM {view}") if NUMBER in str(row)]  # noqa: S608 - our names
        assert len(rows) == kept, view
    for sink in sinks:
        assert sink.get("/readyz") == (200, "ready\n")


@pytest.mark.timeout(120)
def test_a_sink_without_the_key_of_an_erasure_writes_nothing_and_says_so(
    tables: ClickHouse, topics: Topics, running: Running
) -> None:
    send(topics)
    erase(topics)
    for environment in ({}, {"ERASURE_KEY": "fedcba9876543210" * 4}):
        sink = running.start("clickhouse", **environment)
        assert sink.process.wait(60) == 1
        (line,) = [line for line in sink.lines if line["level"] == "error"]
        assert "ERASURE_KEY" in str(line["message"])
    assert tables.value("SELECT count() FROM sms_status") == 0


@pytest.mark.timeout(120)
def test_a_running_sink_without_the_key_ends_with_the_first_batch_after_an_erasure(
    tables: ClickHouse, topics: Topics, running: Running
) -> None:
    sink = running.start("clickhouse")
    eventually(lambda: sink.get("/readyz")[0] == 200, 60)
    erase(topics)
    eventually(lambda: "ERASURE_KEY" in sink.get("/readyz")[1], 60)
    send(topics)
    assert sink.process.wait(60) == 1
    assert tables.value("SELECT count() FROM sms_status") == 0


def test_no_number_is_in_a_query(tables: ClickHouse, settings: SinksSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Record("t", 0, place, 0, encode(sms(f"sms-{place}", recipient=NUMBER))) for place in range(3)]
    sink = ClickHouseSink(tables)
    sink.write("sms_status", rows)
    body = encode(rejection(body=f'{{"to":"{NUMBER}"}}'))
    sink.write("rejected_callbacks", [Record("t", 0, 0, 0, body)])
    asked: list[str] = []
    for name in ("rows", "records", "execute"):
        real = getattr(ClickHouse, name)

        def asking(self: ClickHouse, sql: str, parameters: object = None, real: object = real) -> object:
            asked.append(f"{sql} {parameters}")
            return real(self, sql, parameters)  # type: ignore[operator]

        monkeypatch.setattr(ClickHouse, name, asking)
    known = Erasing(MARKS)
    known.add([erasure(NUMBER, at(1))])
    assert ClickHouseErasure(lambda: connect(settings)).erase(known.known) == 10
    assert any("UPDATE" in query for query in asked)
    assert NUMBER[1:] not in "".join(asked)
    mutations = tables.rows("SELECT command FROM system.mutations WHERE database = currentDatabase()")
    assert len(mutations) == 4
    assert NUMBER[1:] not in str(mutations)


def test_a_merge_after_an_erasure_does_not_bring_a_number_back(tables: ClickHouse, settings: SinksSettings) -> None:
    sink = ClickHouseSink(tables)
    for revision in (1, 2, 3):
        value = encode(sms("a", recipient=NUMBER, revision=revision))
        sink.write("sms_status", [Record("t", 0, revision, 0, value)])
    known = Erasing(MARKS)
    known.add([erasure(NUMBER, at(1))])
    ClickHouseErasure(lambda: connect(settings)).erase(known.known)
    for table in ("sms_status", "sms_status_history"):
        tables.execute(f"OPTIMIZE TABLE {table} FINAL")
        found = tables.rows(f"SELECT recipient, message, label FROM {table}")  # noqa: S608 - our names
        assert set(found) == {(None, None, None)}
    assert tables.rows("SELECT revision FROM sms") == [(3,)]
    assert tables.value("SELECT count() FROM sms_history") == 3


def test_a_message_is_erased_when_its_sms_is_by_a_date_of_routee_alone(
    tables: ClickHouse, settings: SinksSettings
) -> None:
    late = dict.fromkeys(("first_received_at", "received_at", "status_updated_at"), at(3_000))
    values = [
        sms("a", recipient=NUMBER, message_revision=1, message_status="Queued", **late, queued_at=at(1)),
        sms("b", recipient=NUMBER, message_revision=1, message_status="Queued", **late, queued_at=at(3_000)),
    ]
    rows = [Record("t", 0, place, 0, encode(value)) for place, value in enumerate(values)]
    ClickHouseSink(tables).write("sms_status", rows)
    known = Erasing(MARKS)
    known.add([erasure(NUMBER, at(1_000))])
    ClickHouseErasure(lambda: connect(settings)).erase(known.known)
    expected = [("message-of-a", None), ("message-of-b", NUMBER)]
    for table in ("sms_status", "sms_status_history", "message_status"):
        query = f"SELECT message_id, recipient FROM {table} ORDER BY message_id"  # noqa: S608 - our names
        assert tables.rows(query) == expected


OF_MANY_PEOPLE = {("delivery_windows", "label")}
"""A cell counts SMS of many people: streams moves an erased SMS out of the cell of its label."""


def test_every_column_with_data_of_people_is_erased() -> None:
    """A column of such a name in a new table, or a new table, has to be listed."""
    named = {*BLANKED, *BODIES}
    kept = {
        (thing.name, column)
        for thing in objects_of(known_migrations()).values()
        if thing.keeps_rows
        for column in thing.columns
        if column in named
    }
    assert kept - OF_MANY_PEOPLE == {(personal.table, column) for personal in TABLES for column in personal.blanked}


def test_rows_that_come_in_the_middle_of_an_erasure_are_erased_too(tables: ClickHouse, settings: SinksSettings) -> None:
    """As those of another sink, which does not know the erasure yet."""
    sink = ClickHouseSink(tables)

    def insert(key: str) -> None:
        sink.write("sms_status", [Record("t", 0, 0, 0, encode(sms(key, recipient=NUMBER)))])

    class Slow(ClickHouse):
        def execute(self, sql: str, parameters: object = None) -> None:
            super().execute(sql, parameters)  # type: ignore[arg-type]
            if len(inserted) < 2:
                inserted.append(f"late-{len(inserted)}")
                insert(inserted[-1])

    inserted: list[str] = []
    insert("a")
    known = Erasing(MARKS)
    known.add([erasure(NUMBER, at(1))])

    def slow() -> ClickHouse:
        connection = connect(settings)
        connection.__class__ = Slow
        return connection

    ClickHouseErasure(slow).erase(known.known)
    assert inserted == ["late-0", "late-1"]
    assert tables.value("SELECT count() FROM sms_status WHERE recipient IS NOT NULL") == 0


def test_lines_that_are_no_numbers_are_told_all_at_once_without_their_text(running: Running) -> None:
    code, lines, said = command(running, "verify", "+30690\n***123\n\n()\n")
    assert (code, lines) == (2, [])
    assert said.splitlines() == ["line 2: not a number", "line 4: not a number"]
    assert command(running, "export", "\n")[::2] == (2, "no numbers: give them on standard input, one a line\n")
