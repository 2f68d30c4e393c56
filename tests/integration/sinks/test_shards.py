"""
ClickHouse in two shards, beside a database of one server with the same inserts.
"""
# ruff: noqa: S608 - the SQL is put together from the tests' own words

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from console.settings import ConsoleSettings
from console.tables.campaigns import CampaignTables
from console.tables.clickhouse import Tables
from console.tables.health import HealthTables
from console.tables.messages import MessageTables
from sandbox.ports import free_port
from sinks.cli import run_schema
from sinks.clickhouse.client import ClickHouse, connect
from sinks.clickhouse.erasure import TABLES, ClickHouseErasure
from sinks.clickhouse.migrate import look, verify, verify_way_of_rows
from sinks.clickhouse.migrations import known_migrations
from sinks.clickhouse.objects import Kind, objects_of
from sinks.clickhouse.retention import LIFETIMES
from sinks.clickhouse.shards import KEYS
from sinks.clickhouse.sink import INBOX_OF, ClickHouseSink
from sinks.erasing import Erasing
from sinks.errors import FatalError, PermanentError, RetryableError, SchemaError
from sinks.settings import SinksSettings
from sinks.source import Record
from sinks.tables import TABLE_OF
from streams.contract.codec import encode
from streams.program.settings import load_settings
from tests.behaviour.sinks.kafka_topics import Topics
from tests.behaviour.sinks.records import alarm, at, rejection, sms
from tests.integration.sinks.demo_data import demo_records
from tests.integration.sinks.running import Running
from tests.support.erasures import MARKS, erasure
from tests.support.shards.engine import CLUSTER
from tests.support.shards.server import ShardedServer
from tests.support.wait import eventually

pytestmark = pytest.mark.clickhouse

Inserts = list[tuple[str, list[Record]]]
FOR_EVER = dict.fromkeys((name for name in SinksSettings.model_fields if "_retention_days" in name), 0)
NUMBER = "+306900000001"
ROWS_AT_ONCE = 700
"""Few enough for the revisions of an SMS to come by several inserts."""

MOMENTS = {"stuck_messages": "age_seconds", "backfill_deadline": "seconds_left"}
"""View → its column that is another one a second later."""
PARAMETERS = {
    "stuck_messages": "older_than_seconds = 3600",
    "sms_as_of": "at = '2026-11-22 00:00:01'",
    "campaigns_as_of": "at = '2026-11-22 12:00:00'",
}
MET_BY = {
    "sms_status": "sms_key",
    "sms_status_history": "message_id",
    "message_status": "message_id",
    "sms_lives": "key_hash",
    "campaign_progress": "campaign_tracking_id",
    "campaign_progress_history": "campaign_tracking_id",
    "delivery_windows": "cell",
    "delivery_alarms": "alarm",
    "delivery_alarms_history": "alarm",
    "rejected_callbacks": "(is_in_raw, origin_partition, origin_offset, origin_index)",
}
"""Table → what the rows that replace each other have in common."""


class Served(NamedTuple):
    """A database with the schema."""

    settings: SinksSettings
    tables: ClickHouse
    """A connection to the database that keeps rows."""
    people: ClickHouse
    """A connection to the database that sinks insert into and people query."""
    executed: Sequence[str] = ()
    """The statements that `schema` ran, as far as they are noted."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShardedServer]:
    """Give a running engine that is two shards."""
    with ShardedServer(tmp_path_factory.mktemp("shards"), free_port(), "pass-of-shards") as running:
        yield running


def settings_of(server: ShardedServer, database: str, **more: Any) -> SinksSettings:  # noqa: ANN401 - of the model
    return SinksSettings(
        clickhouse_url=server.url,
        clickhouse_password=server.password,
        clickhouse_database=database,
        **{**FOR_EVER, **more},
    )


def sharded(server: ShardedServer, database: str, **more: Any) -> SinksSettings:  # noqa: ANN401 - of the model
    return settings_of(server, database, clickhouse_cluster=CLUSTER, clickhouse_sharded="yes", **more)


def serve(settings: SinksSettings) -> Served:
    run_schema(settings)
    return Served(settings, connect(settings, settings.tables_database), connect(settings))


@pytest.fixture(scope="module")
def inserts() -> Inserts:
    """Give what a sink inserts: the records of the demo, of several tables in turns, and some that it lacks."""
    table_of = {topic.suffix: table for topic, table in TABLE_OF.items()}
    batches: dict[str, list[Record]] = {}
    found = []
    for offset, (topic, value) in enumerate(demo_records()):
        batch = batches.setdefault(table_of[topic], [])
        batch.append(Record(topic, 0, offset, 0, value))
        if len(batch) == ROWS_AT_ONCE:
            found.append((table_of[topic], batches.pop(table_of[topic])))
    return [*found, *batches.items(), *((table, [*map(record, values)]) for table, values in lacked_by_the_demo())]


def lacked_by_the_demo() -> Iterator[tuple[str, list[Any]]]:
    """Yield SMS that begin anew, in another insert; messages with a missing part; a long campaign; and alarms."""
    for generation in (1, 2):
        life = {"generation": generation, "first_received_at": at(generation)}
        yield "sms_status", [sms(f"anew-{n}", **life) for n in range(9)]
    of_two = {"parts": 2, "message_status": "Sent", "message_parts": 2, "message_parts_seen": 1, "message_revision": 1}
    yield "sms_status", [sms(f"half-{n}", **of_two) for n in range(9)]
    long = {"campaign_tracking_id": "long", "message_status": "Queued", "message_revision": 1}
    yield "sms_status", [sms(f"long-{n}", queued_at=at(600 * n), sending_at=at(600 * n), **long) for n in range(20)]
    for revision in (1, 2):
        yield "delivery_alarms", [alarm(subject=f'["GR","{n}"]', revision=revision) for n in range(9)]


@pytest.fixture(scope="module")
def one_server(server: ShardedServer, inserts: Inserts) -> Served:
    """Give a database of one server that has these records."""
    executed: list[str] = []
    execute = ClickHouse.execute

    def noting(self: ClickHouse, sql: str, parameters: dict[str, Any] | None = None) -> None:
        executed.append(sql)
        execute(self, sql, parameters)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ClickHouse, "execute", noting)
        served = serve(settings_of(server, "whole"))
    return write(served._replace(executed=executed), inserts)


@pytest.fixture(scope="module")
def shards(server: ShardedServer, inserts: Inserts) -> Served:
    """Give a database of two shards that has these records."""
    return write(serve(sharded(server, "spread")), inserts)


def write(served: Served, inserts: Inserts) -> Served:
    for table, rows in inserts:
        ClickHouseSink(served.people).write(table, rows)
    return served


@pytest.fixture(scope="module")
def empty(server: ShardedServer) -> Served:
    """Give a database of two shards whose rows are those of the tests that ask for it."""
    return serve(sharded(server, "other"))


def record(value: Any) -> Record:  # noqa: ANN401 - any record of the contract
    return Record("topic", 0, 0, 0, encode(value))


VIEWS = [it.name for it in objects_of(known_migrations()).values() if it.kind is Kind.VIEW]


def answer(served: Served, view: str) -> list[tuple[Any, ...]]:
    asked = f"{view}({PARAMETERS[view]})" if view in PARAMETERS else view
    columns = f"* EXCEPT ({MOMENTS[view]})" if view in MOMENTS else "*"
    return sorted(served.people.rows(f"SELECT {columns} FROM {asked}"), key=str)


def of_shard(shards: Served, number: int, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query that names the tables of a shard as `here.table`."""
    return shards.people.rows(query.replace("here.", f"{shards.settings.tables_database}_{number}."))


def test_one_server_gets_the_statements_of_the_files_alone(one_server: Served) -> None:
    others = ("COMMENT COLUMN", "auto_statistics_types", "schema_migrations")
    made = [sql for sql in one_server.executed if not any(words in sql for words in others)]
    assert made == [
        "CREATE DATABASE IF NOT EXISTS `whole`",
        *(statement for migration in known_migrations() for statement in migration.statements(None)),
    ]
    assert not [sql for sql in one_server.executed if "Distributed" in sql or "CLUSTER" in sql]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_says_the_same_as_on_one_server(one_server: Served, shards: Served, view: str) -> None:
    expected = answer(one_server, view)
    assert expected
    assert answer(shards, view) == expected


@pytest.mark.parametrize("table", LIFETIMES)
def test_rows_that_replace_each_other_are_on_one_shard(shards: Served, table: str) -> None:
    keys = [set(of_shard(shards, number, f"SELECT {MET_BY[table]} FROM here.{table}")) for number in (1, 2)]
    assert not keys[0] & keys[1]
    assert all(keys)


def test_revisions_of_an_sms_come_by_several_inserts(inserts: Inserts) -> None:
    """Else the test before says little."""
    inserted = [{json.loads(row.value or b"")["sms_key"] for row in rows} for table, rows in inserts if "sms" in table]
    assert len(inserted) > 5
    assert sum(len(keys) for keys in inserted) - len(set().union(*inserted)) > 100


def test_inserts_that_are_made_again_change_nothing(one_server: Served, shards: Served, inserts: Inserts) -> None:
    write(shards, inserts[::-1])
    for view in VIEWS:
        assert answer(shards, view) == answer(one_server, view), view


def test_the_console_finds_the_same_as_on_one_server(one_server: Served, shards: Served) -> None:
    asked = (
        "SELECT any(recipient), any(message_id), any(campaign_tracking_id) FROM sms WHERE campaign_tracking_id != ''"
    )
    ((number, message, key),) = one_server.people.rows(asked)

    async def found(served: Served) -> list[Any]:
        told: dict[str, Any] = {
            "clickhouse_url": served.settings.clickhouse_url,
            "clickhouse_database": served.settings.clickhouse_database,
            "console_clickhouse_user": served.settings.clickhouse_user,
            "console_clickhouse_password": served.settings.clickhouse_password.get_secret_value(),
        }
        tables = Tables(load_settings(ConsoleSettings, env_file=None, **told))
        messages, campaigns, health = MessageTables(tables), CampaignTables(tables), HealthTables(tables)
        answers = [
            await messages.to_number([number]),
            await messages.of_id(message),
            await messages.parts(message),
            await messages.changes(message),
            await messages.labelled("no such label"),
            await campaigns.one(key),
            await campaigns.by_parts(key),
            await campaigns.by_operator(key),
            await health.schema(),
        ]
        await tables.close()
        return answers

    whole, spread = asyncio.run(found(one_server)), asyncio.run(found(shards))
    assert whole[0]
    assert whole[1]
    assert _sorted(spread) == _sorted(whole)


def _sorted(answers: list[Any]) -> list[Any]:
    """Return answers with lists whose order no query asks for in one order."""
    return [
        [{name: sorted(value) if isinstance(value, list) else value for name, value in row.items()} for row in one]
        if isinstance(one, list)
        else one
        for one in answers
    ]


def test_each_inbox_has_a_key_and_nothing_can_be_inserted_past_them(empty: Served) -> None:
    assert KEYS.keys() == set(INBOX_OF.values())
    with pytest.raises(RetryableError, match="error 55"):
        empty.people.execute("INSERT INTO sms_status (sms_key) VALUES ('x')")


def test_a_replayed_rejection_replaces_the_first_on_its_shard(empty: Served) -> None:
    sink = ClickHouseSink(empty.people)
    for topic_offset in range(12):  # of the rejected topic
        rows = [Record("topic", 0, topic_offset, 0, encode(rejection(offset=n, index=0))) for n in range(20)]
        sink.write("rejected_callbacks", rows)
    assert empty.people.value("SELECT count() FROM rejections") == 20


def test_a_bad_row_is_told_with_the_words_of_the_row(empty: Served) -> None:
    with pytest.raises(PermanentError, match="is_sms"):
        ClickHouseSink(empty.people).write("sms_status", [record(sms("good")), record(sms("", message_id="m"))])


def test_rows_are_written_when_both_shards_have_them(empty: Served) -> None:
    """A table of a shard that is away is an error, and the same rows are whole when they are written again."""
    sink, rows = (
        ClickHouseSink(empty.people),
        [record(sms(f"both-{n}", campaign_tracking_id="both")) for n in range(20)],
    )
    empty.people.execute("RENAME TABLE other_shard_2.sms_status TO other_shard_2.gone")
    with pytest.raises(FatalError, match="UNKNOWN_TABLE"):
        sink.write("sms_status", rows)
    empty.people.execute("RENAME TABLE other_shard_2.gone TO other_shard_2.sms_status")
    sink.write("sms_status", rows)
    assert empty.people.value("SELECT count() FROM sms WHERE campaign_tracking_id = 'both'") == 20
    assert empty.people.value("SELECT count() FROM sms_history WHERE campaign_tracking_id = 'both'") == 20


@pytest.mark.kafka
@pytest.mark.timeout(240)
def test_a_sink_writes_to_both_shards_and_waits_while_an_inbox_is_missing(
    empty: Served, topics: Topics, running: Running
) -> None:
    told = {
        "CLICKHOUSE_URL": empty.settings.clickhouse_url,
        "CLICKHOUSE_PASSWORD": empty.settings.clickhouse_password.get_secret_value(),
        "CLICKHOUSE_DATABASE": empty.settings.clickhouse_database,
        "CLICKHOUSE_CLUSTER": CLUSTER,
        "CLICKHOUSE_SHARDED": "yes",
    }
    count = "SELECT count() FROM sms WHERE campaign_tracking_id = 'by-a-sink'"
    records = [(0, encode(sms(f"by-a-sink-{n}", campaign_tracking_id="by-a-sink"))) for n in range(40)]
    sink = running.start("clickhouse", **told)
    topics.produce("sms.status", records[:20])
    eventually(lambda: empty.people.value(count) == 20, 60)
    assert sink.get("/readyz") == (200, "ready\n")
    empty.people.execute("DROP TABLE sms_inbox")
    topics.produce("sms.status", records[20:])
    eventually(lambda: "the table sms_inbox of other is not there" in sink.get("/readyz")[1], 60)
    run_schema(empty.settings)
    eventually(lambda: empty.people.value(count) == 40, 60)
    eventually(lambda: sink.get("/readyz") == (200, "ready\n"), 60)
    check = running.start("check", **told)
    assert check.process.wait(60) == 0, check.text


def test_an_erasure_reaches_both_shards(empty: Served) -> None:
    of_people = [sms(f"erased-{n}", recipient=NUMBER, message_status="Queued", message_revision=1) for n in range(20)]
    refused = [record(rejection(offset=1000 + n, body=f'{{"to":"{NUMBER}"}}')) for n in range(20)]
    sink = ClickHouseSink(empty.people)
    sink.write("sms_status", [*map(record, of_people)])
    sink.write("rejected_callbacks", refused)
    for number in (1, 2):
        assert of_shard(empty, number, f"SELECT count() > 0 FROM here.sms_status WHERE recipient = '{NUMBER}'") == [
            (1,)
        ]
    known = Erasing(MARKS)
    known.add([erasure(NUMBER, at(1))])
    assert ClickHouseErasure(lambda: connect(empty.settings)).erase(known.known) >= 80
    for personal in TABLES:
        for number in (1, 2):
            rows = of_shard(empty, number, f"SELECT * FROM here.{personal.table}")
            assert rows
            assert not [row for row in rows if NUMBER[1:] in str(row)], personal.table


def test_retention_reaches_both_shards(server: ShardedServer, empty: Served) -> None:
    run_schema(sharded(server, "other", clickhouse_retention_days_status=77))
    for number in (1, 2):
        ((engine,),) = of_shard(
            empty,
            number,
            f"SELECT engine_full FROM system.tables WHERE database = 'other_shard_{number}' AND name = 'sms_status'",
        )
        assert "toIntervalDay(77)" in engine
    run_schema(empty.settings)


BY_CHANCE, OVER_TWO = "Distributed('two', 'other_shard', 'sms_inbox', rand())", "spread over 2 shards"
DAMAGE: list[tuple[str, str]] = [
    ("DROP TABLE other.sms_inbox", "the table sms_inbox of other is not there"),
    ("DROP VIEW other_shard_1.sms_inbox_to_history", "the materialized view sms_inbox_to_history of server 1, "),
    (
        f"CREATE OR REPLACE TABLE other.sms_inbox AS other_shard.sms_inbox ENGINE = {BY_CHANCE} COMMENT '{OVER_TWO}'",
        f"the table sms_inbox of other is {BY_CHANCE} in place of ",
    ),
    ("ALTER TABLE other.sms_inbox DROP COLUMN price", "the table sms_inbox of other has other columns than "),
]


@pytest.mark.parametrize(("damage", "line"), DAMAGE, ids=[damage[:40] for damage, _ in DAMAGE])
def test_damage_by_which_rows_would_be_lost_is_told_and_mended(empty: Served, damage: str, line: str) -> None:
    empty.people.execute(damage)
    with pytest.raises(SchemaError, match=f"^{re.escape(line)}"):
        verify_way_of_rows(empty.tables)
    assert run_schema(empty.settings) == 0
    verify(empty.tables)


def test_a_view_for_people_is_told_and_mended(empty: Served) -> None:
    empty.people.execute("DROP VIEW lost_callbacks")
    empty.people.execute("CREATE OR REPLACE VIEW cost_by_day AS SELECT 1 AS n")
    verify_way_of_rows(empty.tables)
    told = sorted(str(it).partition(" of other")[0] for it in look(empty.tables).differences)
    assert told == ["the view cost_by_day", "the view lost_callbacks"]
    run_schema(empty.settings)
    assert look(empty.tables).differences == ()


def test_a_database_of_one_server_is_not_made_one_of_shards(server: ShardedServer, one_server: Served) -> None:
    before = one_server.people.value("SELECT count() FROM sms")
    with pytest.raises(SchemaError, match=r"keeps rows of one server.*set CLICKHOUSE_DATABASE to another name"):
        run_schema(sharded(server, "whole"))
    assert one_server.people.value("SELECT count() FROM sms") == before
    assert one_server.people.rows("SHOW TABLES FROM whole_shard") == []
    verify(one_server.people)


def test_a_database_of_shards_is_not_taken_for_one_of_one_server(server: ShardedServer, empty: Served) -> None:
    with pytest.raises(SchemaError, match="spread over shards: set CLICKHOUSE_SHARDED=yes"):
        run_schema(settings_of(server, "other"))
    verify(empty.tables)


def test_another_number_of_shards_is_refused(empty: Served) -> None:
    """The key of a row leads to another shard then."""
    empty.people.execute("ALTER TABLE sms_inbox MODIFY COMMENT 'spread over 3 shards'")
    line = "the table sms_inbox of other is spread over 3 shards, and the cluster two has another number"
    with pytest.raises(SchemaError, match=line):
        verify_way_of_rows(empty.tables)
    with pytest.raises(SchemaError, match=line):
        run_schema(empty.settings)
    empty.people.execute("ALTER TABLE sms_inbox MODIFY COMMENT 'spread over 2 shards'")
    verify(empty.tables)
