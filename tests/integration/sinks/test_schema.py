"""
The numbered schema in the real engine.
"""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from sinks.cli import run_schema
from sinks.clickhouse.analyst import LIMITS, statements
from sinks.clickhouse.client import ClickHouse, connect
from sinks.clickhouse.comments import apply_comments
from sinks.clickhouse.differences import Comparison, Fault
from sinks.clickhouse.migrate import look, migrate, verify, verify_way_of_rows
from sinks.clickhouse.migrations import Migration, known_migrations, render
from sinks.clickhouse.sink import ClickHouseSink
from sinks.clickhouse.watch import SchemaWatch
from sinks.clickhouse.words import words_of
from sinks.errors import ConnectError, FatalError, RetryableError, SchemaError, ShortError, SinksError
from sinks.files.columns import POSITION
from sinks.metrics import Metrics, Readiness
from sinks.settings import SinksSettings
from sinks.source import Record
from streams.contract.codec import encode
from streams.contract.records import CampaignProgress, DeliveryAlarm, DeliveryWindow, Rejection, SmsStatus
from tests.behaviour.sinks.records import sms
from tests.integration.sinks.older import apply_until
from tests.support.data_dictionary import DOCUMENT, rows
from tests.support.data_dictionary import written as written_dictionary
from tests.support.markdown import ROOT
from tests.support.sql_types import MODEL_OF, fits
from tests.support.wait import eventually

pytestmark = pytest.mark.clickhouse

DELIVERY = {
    "sms", "final", "delivered", "undelivered", "failed", "unsent", "delivered_per_final", "delivered_per_accepted",
}  # fmt: skip
SMS = set(SmsStatus.model_fields)
CAMPAIGN = set(CampaignProgress.model_fields)
CELL = set(DeliveryWindow.model_fields)
ALARM = set(DeliveryAlarm.model_fields)
COST = {"sms", "delivered", "unpriced", "price_total", "price_delivered", "price_wasted", "price_per_delivered"}

OBJECTS = {
    "sms_status": SMS,
    "sms_status_history": SMS,
    "sms_lives": {"key_hash", "first_received_at", "generation", "revision"},
    "message_status": {
        "message_id", "status", "previous_status", "is_final", "parts", "parts_seen", "generation", "revision",
    },
    "campaign_progress": CAMPAIGN,
    "campaign_progress_history": CAMPAIGN,
    "rejected_callbacks": set(Rejection.model_fields),
    "sms": SMS,
    "campaigns": CAMPAIGN,
    "messages": {
        "message_id", "campaign_tracking_id", "campaign_name", "recipient", "sender", "country", "operator", "status",
        "is_final", "parts", "parts_seen", "latency_seconds", "price", "first_received_at", "received_at",
        "previous_status", "generation", "revision",
    },
    "delivery_windows": CELL,
    "delivery_alarms": ALARM,
    "delivery_alarms_history": ALARM,
    "alarms": ALARM,
    "alarm_history": ALARM,
    "delivery_cells": {"day", "hour", "month", "final", "delivered", "undelivered", "failed", "unsent", *CELL},
    "delivery_by_country": {"day", "hour", "country", "messages", *DELIVERY},
    "delivery_by_operator": {"day", "hour", "country", "operator", "messages", *DELIVERY},
    "delivery_by_sender": {"day", "hour", "country", "sender", "messages", *DELIVERY},
    "delivery_by_application": {"day", "hour", "country", "application_name", "messages", *DELIVERY},
    "delivery_by_label": {"day", "hour", "label", "messages", *DELIVERY},
    "delivery_by_hour": {"day", "hour", "messages", *DELIVERY},
    "delivery_by_final_hour": {"day", "hour", *DELIVERY},
    "sla_by_operator": {
        "day", "hour", "country", "operator", "delivered", "timed", "within_10s", "within_10s_per_timed",
    },
    "latency_by_operator": {"day", "hour", "country", "operator", "delivered", "timed", "within", "p50", "p90", "p99"},
    "failure_reasons": {"day", "country", "operator", "status", "detailed_status", "sms"},
    "cost_by_country": {"day", "hour", "country", *COST},
    "cost_by_day": {"day", "country", "operator", "application_name", *COST},
    "cost_by_month": {"month", "country", "operator", "application_name", *COST},
    "cost_by_campaign": {"month", "campaign_tracking_id", "campaign_name", *COST},
    "campaign_by_operator": {"campaign_tracking_id", "campaign_name", "country", "operator", *DELIVERY},
    "campaign_curve": {"campaign_tracking_id", "campaign_name", "started_at", "minutes", "sms", "sent", "delivered"},
    "strategy_by_application": {"day", "application_name", "sms", "staged", "only_final", "staged_per_sms", "strategy"},
    "campaign_reconciliation": {
        "campaign_tracking_id", "name", "campaign_status", "reconciliation", "reconciliation_unit", "total_recipients",
        "messages", "parts", "drift", "messages_by_status", "parts_by_status", "stale_reports", "unordered_reports",
    },
    "missing_parts": {
        "message_id", "campaign_tracking_id", "parts", "parts_seen", "missing", "first_received_at", "received_at",
    },
    "lost_callbacks": {
        "day", "application_name", "sms", "healed", "still_missing", "both_stages", "one_stage", "loss_estimate",
    },
    "backfill_deadline": {
        "day", "application_name", "is_gone", "messages", "price_total", "deadline", "seconds_left",
    },
    "conflicting_finals": {"day", "country", "operator", "sms", "conflicts", "conflicting_sms", "conflicting_per_sms"},
}  # fmt: skip


@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_of_the_contract_has_its_columns(tables: ClickHouse, name: str) -> None:
    found = tables.rows(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {name:String}", {"name": name}
    )
    assert {column for (column,) in found} >= OBJECTS[name]


OF_ONE_RECORD = {
    "sms_status": ("sms_inbox", "sms_status", "sms_status_history", "sms", "sms_history"),
    "campaign_progress": (
        *("campaign_inbox", "campaign_progress", "campaign_progress_history"),
        *("campaigns", "campaign_history"),
    ),
    "delivery_windows": ("delivery_inbox", "delivery_windows"),
    "delivery_alarms": ("alarm_inbox", "delivery_alarms", "delivery_alarms_history", "alarms", "alarm_history"),
    "rejected_callbacks": ("rejected_callbacks", "rejections"),
}
"""Table → everything that has its columns: where rows are inserted, the latest, the history, and the views of both."""
OF_NO_RECORD = {"sms_status": {"is_superseded"}, "sms_status_history": {"life"}}
"""Columns that tell rows of one key apart: the views leave them out."""


def columns_of(clickhouse: ClickHouse, name: str) -> dict[str, str]:
    """Return the columns that a query finds, with their types."""
    return dict(
        clickhouse.rows(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {name:String} "
            "AND default_kind != 'MATERIALIZED'",
            {"name": name},
        )
    )


@pytest.mark.parametrize(("table", "name"), [(table, name) for table, names in OF_ONE_RECORD.items() for name in names])
def test_every_field_of_a_record_has_its_column_wherever_its_rows_are(
    tables: ClickHouse, table: str, name: str
) -> None:
    fields = MODEL_OF[table].model_fields
    columns = columns_of(tables, name)
    assert columns.keys() == fields.keys() | (
        set(POSITION) if table == "rejected_callbacks" else OF_NO_RECORD.get(name, set())
    )
    assert {field: columns[field] for field in fields if not fits(table, field, columns[field])} == {}


def test_words_that_repeat_are_stored_as_numbers(tables: ClickHouse) -> None:
    columns = columns_of(tables, "sms_status") | columns_of(tables, "campaign_progress")
    assert columns["status"] == "LowCardinality(String)"
    assert columns["operator"] == "LowCardinality(Nullable(String))"
    assert columns["messages_by_status"] == "Map(LowCardinality(String), UInt64)"


def test_a_field_more_is_one_file_more_of_the_schema(empty: ClickHouse) -> None:
    """The statements that the README gives for it: the column is filled everywhere, and old rows have null."""
    migrate(empty, None)
    old = encode(sms("old", revision=1))
    empty.insert_json("sms_inbox", (line for line in [old]))
    readme = (ROOT / "sinks" / "README.md").read_text()
    text = re.search(r"```sql\n-- In a new file of the schema, NNNN_\w+\.sql [^\n]*\n(.*?)```", readme, re.DOTALL)
    assert text
    for statement in Migration(12, "0012_added.sql", text[1]).statements(None):
        empty.execute(statement)
    new = encode(sms("new", revision=1))[:-1] + b',"network":"5G"}'
    empty.insert_json("sms_inbox", (line for line in [new]))
    for name in ("sms", "sms_history"):
        rows = empty.rows(f"SELECT sms_key, network FROM {name} ORDER BY sms_key")  # noqa: S608 - names of ours
        assert rows == [("new", "5G"), ("old", None)]


def test_every_table_and_view_says_what_it_counts(tables: ClickHouse) -> None:
    silent = tables.rows("SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''")
    assert silent == []


def test_every_column_of_every_table_and_view_says_what_it_means(tables: ClickHouse) -> None:
    columns = tables.rows(
        "SELECT table, name, comment FROM system.columns "
        "WHERE database = currentDatabase() AND table NOT LIKE '%_inbox_to_%'"
    )
    assert [(table, name) for table, name, comment in columns if not comment] == []
    assert {(table, name): comment for table, name, comment in columns if comment != words_of(table, name)} == {}
    # The columns of a view with a parameter are known when it is asked.
    at = "at = '2026-11-22 09:00:00'"
    for view, given in (
        ("stuck_messages", "older_than_seconds = 3600"), ("sms_as_of", at), ("campaigns_as_of", at),
    ):  # fmt: skip
        asked = tables.rows(f"DESCRIBE TABLE (SELECT * FROM {view}({given}))")  # noqa: S608 - names of ours
        assert [name for name, *_ in asked if not words_of(view, name)] == []


def test_the_data_dictionary_has_every_column_of_every_view(tables: ClickHouse) -> None:
    """`python -m tests.support.data_dictionary` writes it anew."""
    text = DOCUMENT.read_text()
    assert text == written_dictionary(text, rows(tables))


def test_comments_are_applied_again_where_they_differ_and_nowhere_else(
    tables: ClickHouse, settings: SinksSettings
) -> None:
    assert apply_comments(tables, None) == []
    tables.execute("ALTER TABLE sms_status COMMENT COLUMN price 'ours', ADD COLUMN note String COMMENT 'a note'")
    tables.execute("DROP VIEW delivery_by_hour")
    run_schema(settings)
    comments = "SELECT table, name, comment FROM system.columns WHERE database = currentDatabase()"
    found = {(table, name): comment for table, name, comment in tables.rows(comments)}
    assert found["sms_status", "price"] == words_of("sms_status", "price") != "ours"
    assert found["sms_status", "note"] == "a note"
    assert found["delivery_by_hour", "sms"] == words_of("delivery_by_hour", "sms")
    assert apply_comments(tables, None) == []


def test_applying_it_again_does_nothing(empty: ClickHouse, settings: SinksSettings) -> None:
    names = [migration.name for migration in known_migrations()]
    assert migrate(empty, None) == names
    assert migrate(empty, None) == []
    assert run_schema(settings) == 0
    assert empty.rows("SELECT count() FROM schema_migrations") == [(len(names),)]


@pytest.mark.parametrize("version", [1, 4])
def test_a_run_that_was_cut_off_is_completed_by_the_next(empty: ClickHouse, version: int) -> None:
    migrate(empty, None)
    empty.execute("DROP VIEW messages")
    empty.execute(f"ALTER TABLE schema_migrations DELETE WHERE version >= {version} SETTINGS mutations_sync = 1")
    due = [migration.name for migration in known_migrations() if migration.version >= version]
    assert migrate(empty, None) == due
    assert empty.rows("SELECT count() FROM messages") == [(0,)]


def test_merges_make_no_statistics_of_columns(empty: ClickHouse, settings: SinksSettings) -> None:
    """Those of an owner stay, also when the command runs again."""
    migrate(empty, None)
    empty.execute("ALTER TABLE message_status MODIFY SETTING auto_statistics_types = 'basic'")
    found = "SELECT DISTINCT table FROM system.columns WHERE database = currentDatabase() AND statistics != ''"
    assert len(empty.rows(found)) > 1
    for _ in range(2):
        run_schema(settings)
        assert empty.rows(found) == [("message_status",), ("schema_migrations",)]


def test_a_batch_becomes_few_files(tables: ClickHouse) -> None:
    """Thirty megabytes, more than the engine keeps together by itself."""
    tables.execute(
        "INSERT INTO sms_inbox (sms_key, status, revision, first_received_at, message) "
        "SELECT toString(number), 'Sent', 1, now(), repeat('x', 500) FROM numbers(60000)"
    )
    for table in ("sms_status", "sms_status_history"):
        parts = tables.rows(
            "SELECT DISTINCT part_type FROM system.parts WHERE database = currentDatabase() AND table = {table:String}",
            {"table": table},
        )
        assert parts == [("Compact",)]


@pytest.mark.parametrize("name", ["sms", "sms_status", "campaigns", "schema_migrations"])
def test_a_foreign_table_is_refused_and_stays_as_it_is(empty: ClickHouse, name: str) -> None:
    """`CREATE OR REPLACE VIEW` would drop it, with all its rows."""
    empty.execute(f"CREATE TABLE {name} (version Int64, dirty UInt8) ENGINE = MergeTree ORDER BY version")
    empty.execute(f"INSERT INTO {name} VALUES (7, 0)")  # noqa: S608 - names of ours
    with pytest.raises(SchemaError, match=f"are not of it: {name}. Set CLICKHOUSE_DATABASE"):
        migrate(empty, None)
    assert empty.rows(f"SELECT version, dirty FROM {name}") == [(7, 0)]  # noqa: S608 - names of ours
    assert {table for (table,) in empty.rows("SHOW TABLES")} <= {name, "schema_migrations"}


ROW = encode(sms("one", revision=1))


def written(clickhouse: ClickHouse) -> int:
    """Insert a row, and return how many rows the engine counts."""
    return clickhouse.insert_json("sms_inbox", (line for line in [ROW]))


def is_kept(clickhouse: ClickHouse) -> bool:
    tables = ("sms_status", "sms_status_history")
    return all(clickhouse.rows(f"SELECT count() FROM {table} FINAL") == [(1,)] for table in tables)  # noqa: S608


REFRESHED = """
CREATE MATERIALIZED VIEW sms_inbox_to_status REFRESH EVERY 1 DAY APPEND TO sms_status EMPTY AS SELECT * FROM sms_inbox
"""


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (["DROP VIEW sms_inbox_to_status"], "the materialized view sms_inbox_to_status is not there"),
        (["DETACH TABLE sms_inbox_to_history"], "the materialized view sms_inbox_to_history is not there"),
        (["DETACH TABLE sms_inbox_to_status PERMANENTLY"], "the materialized view sms_inbox_to_status is not there"),
        (
            [
                "DROP VIEW sms_inbox_to_status",
                "CREATE MATERIALIZED VIEW sms_inbox_to_status TO sms_status AS SELECT * FROM sms_inbox WHERE is_final",
            ],
            "the materialized view sms_inbox_to_status has another query",
        ),
        (
            [
                "DROP VIEW sms_inbox_to_status",
                "CREATE MATERIALIZED VIEW sms_inbox_to_status TO sms_status AS SELECT status FROM sms_status_history",
            ],
            "the materialized view sms_inbox_to_status has another query",
        ),
        (
            ["ALTER TABLE sms_inbox_to_status MODIFY QUERY SELECT * FROM sms_inbox WHERE revision > 5"],
            "the materialized view sms_inbox_to_status has another query",
        ),
        (
            [
                "DROP VIEW sms_inbox_to_status",
                "CREATE MATERIALIZED VIEW sms_inbox_to_status TO sms_status_history AS SELECT * FROM sms_inbox",
            ],
            "the materialized view sms_inbox_to_status fills DATABASE.sms_status_history in place of sms_status",
        ),
        (
            ["DROP VIEW sms_inbox_to_status", "CREATE VIEW sms_inbox_to_status AS SELECT * FROM sms_inbox"],
            "the materialized view sms_inbox_to_status is a View",
        ),
        (
            [
                "DROP VIEW sms_inbox_to_status",
                REFRESHED,
            ],
            "the materialized view sms_inbox_to_status is filled now and then",
        ),
        (["DROP TABLE sms_inbox"], "the table sms_inbox is not there"),
        (["DROP TABLE sms_status"], "the table sms_status is not there"),
        (["DROP TABLE sms_status_history"], "the table sms_status_history is not there"),
        (["DETACH TABLE sms_status"], "the table sms_status is not there"),
        (["RENAME TABLE sms_status TO sms_status_old"], "the table sms_status is not there"),
        (
            ["ALTER TABLE sms_status DROP COLUMN price, DROP COLUMN parts"],
            "the table sms_status has no column parts, price",
        ),
        (
            [
                "DROP TABLE sms_inbox",
                "CREATE TABLE sms_inbox ENGINE = Null AS SELECT * EXCEPT (message) FROM sms_status",
            ],
            "the table sms_inbox has no column message",
        ),
        (["ALTER TABLE rejected_callbacks DROP COLUMN body"], "the table rejected_callbacks has no column body"),
        (["DROP VIEW sms"], "the view sms is not there"),
        (["CREATE OR REPLACE VIEW sms AS SELECT * FROM sms_status"], "the view sms has another query"),
        (["CREATE OR REPLACE VIEW messages AS SELECT 1 AS message_id"], "the view messages has another query"),
    ],
    ids=lambda value: value[-1][:60] if isinstance(value, list) else "",
)
def test_damage_to_the_schema_is_told_and_mended(
    tables: ClickHouse, settings: SinksSettings, damage: list[str], line: str
) -> None:
    for statement in damage:
        tables.execute(statement)
    expected = line.replace("DATABASE", settings.clickhouse_database)
    with pytest.raises(SchemaError, match=f"^{re.escape(expected)}.*: run `routee-sinks schema`$"):
        verify(tables)
    if " the view " in f" {line}":
        verify_way_of_rows(tables)
    else:
        with pytest.raises(SchemaError, match=re.escape(expected)):
            verify_way_of_rows(tables)
    assert run_schema(settings) == 0
    verify(tables)
    assert written(tables) == 5
    assert is_kept(tables)


@pytest.mark.parametrize("lost", ["%", "sms_status_history", "message%"])
def test_an_object_that_is_made_again_is_as_it_was(tables: ClickHouse, settings: SinksSettings, lost: str) -> None:
    """Also when the list of applied files alone is left, and a later file has changed a table or a view since."""
    columns = (
        "SELECT table, groupArray((name, type, default_kind)) FROM system.columns "
        "WHERE database = currentDatabase() AND table NOT LIKE '%_inbox_to_%' GROUP BY table ORDER BY table"
    )
    keys = (
        "SELECT name, sorting_key, primary_key, partition_key FROM system.tables "
        "WHERE database = currentDatabase() ORDER BY name"
    )
    indexes = "SELECT table, name FROM system.data_skipping_indices WHERE database = currentDatabase() ORDER BY ALL"
    queries = (columns, keys, indexes)
    before = [tables.rows(query) for query in queries]
    names = tables.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE {lost:String} "
        "AND name != 'schema_migrations'",
        {"lost": lost},
    )
    for (name,) in names:
        tables.execute(f"DROP TABLE {name}")
    assert run_schema(settings) == 0
    assert [tables.rows(query) for query in queries] == before
    assert written(tables) == 5
    assert is_kept(tables)


def test_a_healthy_database_differs_in_nothing_also_after_a_restart(tables: ClickHouse) -> None:
    assert look(tables) == Comparison()
    for name in ("sms_inbox", "sms_status", "sms_inbox_to_status"):
        tables.execute(f"DETACH TABLE {name}")
        tables.execute(f"ATTACH TABLE {name}")
    assert look(tables) == Comparison()
    assert written(tables) == 5


def test_an_owner_may_add_to_the_database(tables: ClickHouse, settings: SinksSettings) -> None:
    """Columns, views, indexes, comments: the sink counts at least its own rows."""
    tables.execute("ALTER TABLE sms_status ADD COLUMN note String, MODIFY COLUMN message CODEC(ZSTD(3))")
    tables.execute("ALTER TABLE sms_status MODIFY COMMENT 'ours'")
    tables.execute("CREATE TABLE totals (status String, n UInt64) ENGINE = SummingMergeTree ORDER BY status")
    tables.execute("CREATE MATERIALIZED VIEW to_totals TO totals AS SELECT status, 1 AS n FROM sms_status")
    verify(tables)
    ClickHouseSink(tables).write("sms_status", [Record("t", 0, 0, 0, ROW)])
    assert tables.rows("SELECT status, n FROM totals") == [("Queued", 1)]
    assert look(tables) == Comparison(other_views=(f"{settings.clickhouse_database}.to_totals",))


def test_a_detached_table_comes_back_with_its_rows(tables: ClickHouse, settings: SinksSettings) -> None:
    written(tables)
    for name in ("sms_status", "sms_status_history", "schema_migrations"):
        tables.execute(f"DETACH TABLE {name}")
    assert run_schema(settings) == 0
    assert is_kept(tables)


def test_tables_that_begin_empty_are_told_with_the_group_to_delete(
    tables: ClickHouse, settings: SinksSettings, caplog: pytest.LogCaptureFixture
) -> None:
    for statement in (
        "DROP TABLE sms_status",
        "DROP VIEW campaign_inbox_to_progress",
        "DETACH TABLE rejected_callbacks",
    ):
        tables.execute(statement)
    caplog.clear()
    run_schema(settings)
    (warning,) = [it for it in caplog.records if it.getMessage().startswith("these tables may lack rows")]
    assert vars(warning)["tables"] == "campaign_progress, sms_status"
    assert vars(warning)["group"] == "routee.sinks-clickhouse"


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (
            ["DROP TABLE sms_inbox", "CREATE TABLE sms_inbox AS sms_status ENGINE = MergeTree ORDER BY sms_key"],
            "the table sms_inbox has the engine MergeTree in place of Null",
        ),
        (
            [
                "DROP TABLE sms_status",
                "CREATE TABLE sms_status AS sms_status_history ENGINE = MergeTree PRIMARY KEY sms_key ORDER BY sms_key",
            ],
            "the table sms_status has the engine MergeTree in place of ReplacingMergeTree",
        ),
        (
            [
                "DROP VIEW sms_inbox_to_status",
                "CREATE MATERIALIZED VIEW sms_inbox_to_status ENGINE = Memory AS SELECT * FROM sms_inbox",
            ],
            "the materialized view sms_inbox_to_status keeps rows of its own",
        ),
        (
            ["DROP VIEW sms", "CREATE TABLE sms ENGINE = MergeTree ORDER BY sms_key AS SELECT * FROM sms_status"],
            "the view sms is a MergeTree",
        ),
    ],
    ids=["inbox", "table", "passage", "view"],
)
def test_a_thing_that_may_keep_rows_is_left_to_a_person(
    tables: ClickHouse, settings: SinksSettings, damage: list[str], line: str
) -> None:
    for statement in damage:
        tables.execute(statement)
    for find in (verify, lambda _: run_schema(settings)):
        with pytest.raises(SchemaError, match=f"^{re.escape(line)}.*: rename it, then run `routee-sinks schema`$"):
            find(tables)
    assert [difference.fault for difference in look(tables).differences] == [Fault.STRANGER]


def test_all_differences_are_told_at_once(empty: ClickHouse) -> None:
    apply_until(empty, 5)
    for statement in ("DROP VIEW sms_inbox_to_status", "DROP TABLE campaign_progress", "DROP VIEW sms"):
        empty.execute(statement)
    empty.execute("CREATE OR REPLACE VIEW campaign_reconciliation AS SELECT 1 AS drift")
    with pytest.raises(SchemaError) as error:
        verify(empty)
    lines = str(error.value).splitlines()
    assert lines[0].startswith("the database lacks 0006_parts.sql")
    assert [line.partition(" is not there")[0] for line in lines[1:]] == [
        "the materialized view sms_inbox_to_status",
        "the table campaign_progress",
        "the view sms",
        "the view campaign_reconciliation has another query than in the schema: run `routee-sinks schema`",
    ]


def test_an_insert_that_a_view_does_not_pass_on_is_short(tables: ClickHouse) -> None:
    sink = ClickHouseSink(tables)
    rows = [Record("t", 0, offset, 0, encode(sms(f"sms-{offset}", revision=1 + offset % 2))) for offset in range(10)]
    sink.write("sms_status", rows)
    tables.execute("ALTER TABLE sms_inbox_to_status MODIFY QUERY SELECT * FROM sms_inbox WHERE revision = 1")
    with pytest.raises(ShortError, match="wrote 45 of 50 rows for 10 inserted into sms_inbox"):
        sink.write("sms_status", rows)


def test_a_look_now_and_then_shows_in_readiness(tables: ClickHouse, settings: SinksSettings) -> None:
    """Also while no row comes."""
    readiness = Readiness()
    readiness.fine("group")
    end = SchemaWatch(Metrics(), readiness).look_again_and_again(lambda: connect(settings), seconds=0.1)
    tables.execute("DROP VIEW sms_inbox_to_status")
    eventually(lambda: [it for it in readiness.reasons if "sms_inbox_to_status is not there" in it], 30)
    run_schema(settings)
    eventually(lambda: not readiness.reasons, 30)
    end()


def test_a_file_that_changed_after_it_was_applied_is_an_error_that_names_it(empty: ClickHouse) -> None:
    migrate(empty, None)
    empty.execute("ALTER TABLE schema_migrations UPDATE checksum = 'x' WHERE version = 2 SETTINGS mutations_sync = 1")
    with pytest.raises(SchemaError, match=known_migrations()[1].name):
        migrate(empty, None)
    with pytest.raises(SchemaError, match=known_migrations()[1].name):
        verify(empty)


def test_a_database_without_the_schema_is_an_error_that_says_what_to_run(empty: ClickHouse) -> None:
    with pytest.raises(SchemaError, match="run `routee-sinks schema`"):
        verify(empty)


def test_the_statements_for_a_cluster_are_sql(empty: ClickHouse) -> None:
    for migration in known_migrations():
        for statement in migration.statements("main"):
            literal = statement.replace("\\", "\\\\").replace("'", "\\'")
            ((formatted,),) = empty.rows(f"SELECT formatQuerySingleLine('{literal}')")
            assert "ON CLUSTER main" in formatted or formatted.startswith("INSERT INTO ")


def test_for_a_cluster_every_table_that_keeps_rows_is_replicated(empty: ClickHouse) -> None:
    """The engine takes each statement as it is, and misses only the keeper, which these tests do not have."""
    migrate(empty, None)
    statements = [part for migration in known_migrations() for part in migration.statements("main")]
    tables = {match[1]: part for part in statements if (match := re.search(r"CREATE TABLE IF NOT EXISTS (\w+)", part))}
    replicated = {name: part for name, part in tables.items() if "ENGINE = Null" not in part}
    # It has changed places with sms_status.
    replicated["sms_status"] = replicated.pop("sms_status_next").replace("sms_status_next", "sms_status")
    kept = empty.rows("SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'")
    assert replicated.keys() | {"schema_migrations"} == {name for (name,) in kept}
    # The last first: histories are made like their tables.
    for name, statement in reversed(replicated.items()):
        empty.execute(f"DROP TABLE {name}")
        # A cluster's configuration and ON CLUSTER would fill these in.
        place = "ReplicatedReplacingMergeTree('/tables/here', 'one', "
        filled = statement.replace("ON CLUSTER 'main'", "").replace("ReplicatedReplacingMergeTree(", place)
        filled = filled.replace("ReplicatedReplacingMergeTree\n", f"{place.rstrip(', ')})\n")
        with pytest.raises(RetryableError, match="NO_ZOOKEEPER"):
            empty.execute(filled)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"clickhouse_password": "wrong"}, "CLICKHOUSE_PASSWORD.*AUTHENTICATION_FAILED"),
        ({"clickhouse_user": "nobody"}, "CLICKHOUSE_USER=nobody"),
        (
            {"clickhouse_url": "http://127.0.0.1:1"},
            "CLICKHOUSE_URL=http://127.0.0.1:1: ClickHouse does not answer there .Connection refused.",
        ),
        ({"clickhouse_database": "not_there"}, "CLICKHOUSE_DATABASE=not_there: .*routee-sinks schema"),
    ],
)
def test_a_reason_not_to_connect_is_one_line(settings: SinksSettings, change: dict[str, str], line: str) -> None:
    known = {name: getattr(settings, name) for name in ("clickhouse_url", "clickhouse_user", "clickhouse_password")}
    with pytest.raises(ConnectError, match=line) as error:
        connect(SinksSettings(**{**known, "clickhouse_database": "default", **change}))
    assert "\n" not in str(error.value)
    assert settings.clickhouse_password.get_secret_value() not in str(error.value)


@pytest.fixture
def something_else() -> Iterator[str]:
    """Give the address of a web server that is not ClickHouse: it knows no POST."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_another_server_at_the_address_is_told_from_no_answer(something_else: str) -> None:
    line = f"CLICKHOUSE_URL={something_else}: something answers there, but not as ClickHouse does (HTTP status 501)"
    with pytest.raises(ConnectError, match=re.escape(line)):
        connect(SinksSettings(clickhouse_url=something_else))


def test_the_engine_reads_the_statements_of_the_user_for_analysts_and_keeps_the_limits(
    tables: ClickHouse, settings: SinksSettings
) -> None:
    """Each statement is SQL, and a query under the limits writes nothing; the engine of the tests can store no user."""
    for cluster in (None, "main"):
        known = "IDENTIFIED WITH sha256_hash BY 'ab' SALT 'cd'"
        for statement in statements(["routee", "routee_shard"], "routee_analyst", "ana", known):
            literal = render(statement, cluster).replace("'", "\\'")
            ((formatted,),) = tables.rows(f"SELECT formatQuerySingleLine('{literal}')")
            assert ("ON CLUSTER main" in formatted) == (cluster is not None)
    limits = ", ".join(re.sub(r" (?:CONST|MIN \d+ MAX \d+)$", "", limit) for limit in LIMITS)
    tables.execute(f"SELECT count() FROM delivery_by_hour SETTINGS {limits}")  # noqa: S608 - ours
    with pytest.raises(SinksError, match="READONLY"):
        tables.execute(f"INSERT INTO sms_inbox (sms_key) SETTINGS {limits} SELECT 'x'")
    with pytest.raises(FatalError, match=r"^--analyst-user ana: .*CLICKHOUSE_USER needs ACCESS MANAGEMENT"):
        run_schema(settings.model_copy(update={"clickhouse_analyst_password": SecretStr("twelve chars")}), "ana")
