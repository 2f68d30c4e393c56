"""
The numbered schema in the real engine.
"""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sandbox.clickhouse.process import ClickHouseServer
from sinks.cli import run_schema
from sinks.clickhouse.client import ClickHouse, connect
from sinks.clickhouse.migrate import Migration, known_migrations, migrate, verify
from sinks.errors import ConnectError, RetryableError, SchemaError
from sinks.files.columns import POSITION
from sinks.settings import SinksSettings
from streams.contract.codec import encode
from streams.contract.records import CampaignProgress, Rejection, SmsStatus
from tests.behaviour.sinks.records import sms
from tests.support.markdown import ROOT
from tests.support.sql_types import MODEL_OF, fits

pytestmark = pytest.mark.clickhouse

DELIVERY = {
    "sms", "final", "delivered", "undelivered", "failed", "unsent", "delivered_per_final", "delivered_per_accepted",
}  # fmt: skip
SMS = set(SmsStatus.model_fields)
CAMPAIGN = set(CampaignProgress.model_fields)

OBJECTS = {
    "sms_status": SMS,
    "sms_status_history": SMS,
    "campaign_progress": CAMPAIGN,
    "campaign_progress_history": CAMPAIGN,
    "rejected_callbacks": set(Rejection.model_fields),
    "sms": SMS,
    "campaigns": CAMPAIGN,
    "messages": {
        "message_id", "campaign_tracking_id", "campaign_name", "recipient", "sender", "country", "operator", "status",
        "is_final", "parts", "parts_seen", "latency_seconds", "price", "first_received_at", "received_at",
    },
    "delivery_by_country": {"country", *DELIVERY},
    "delivery_by_operator": {"country", "operator", *DELIVERY},
    "delivery_by_sender": {"sender", *DELIVERY},
    "delivery_by_hour": {"hour", *DELIVERY},
    "delivery_by_final_hour": {"hour", *DELIVERY},
    "latency_by_operator": {"country", "operator", "delivered", "p50", "p90", "p99"},
    "failure_reasons": {"country", "operator", "status", "detailed_status", "sms"},
    "cost_by_country": {
        "country", "sms", "price_total", "price_delivered", "price_wasted", "price_per_delivered",
    },
    "campaign_reconciliation": {
        "campaign_tracking_id", "name", "campaign_status", "reconciliation", "reconciliation_unit", "total_recipients",
        "messages", "parts", "drift", "messages_by_status", "parts_by_status", "stale_reports", "unordered_reports",
    },
    "stuck_messages": {
        "sms_key", "message_id", "campaign_tracking_id", "country", "operator", "status", "age_seconds",
    },
    "missing_parts": {"message_id", "campaign_tracking_id", "parts", "parts_seen", "missing"},
    "conflicting_finals": {"country", "operator", "sms", "conflicts", "conflicting_sms"},
}  # fmt: skip


@pytest.fixture
def untouched(clickhouse: ClickHouseServer, settings: SinksSettings) -> Iterator[ClickHouse]:
    """Give a connection to an empty database."""
    del clickhouse
    anywhere = connect(settings, database="")
    anywhere.execute(f"CREATE DATABASE `{settings.clickhouse_database}`")
    anywhere.close()
    connection = connect(settings)
    yield connection
    connection.execute(f"DROP DATABASE `{settings.clickhouse_database}`")
    connection.close()


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
    "rejected_callbacks": ("rejected_callbacks", "rejections"),
}
"""Table → everything that has its columns: where rows are inserted, the latest, the history, and the views of both."""


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
    assert columns.keys() == fields.keys() | (set(POSITION) if table == "rejected_callbacks" else set())
    assert {field: columns[field] for field in fields if not fits(table, field, columns[field])} == {}


def test_words_that_repeat_are_stored_as_numbers(tables: ClickHouse) -> None:
    columns = columns_of(tables, "sms_status") | columns_of(tables, "campaign_progress")
    assert columns["status"] == "LowCardinality(String)"
    assert columns["operator"] == "LowCardinality(Nullable(String))"
    assert columns["messages_by_status"] == "Map(LowCardinality(String), UInt64)"


def test_a_field_more_is_one_file_more_of_the_schema(untouched: ClickHouse) -> None:
    """The statements that the README gives for it: the column is filled everywhere, and old rows have null."""
    migrate(untouched, None)
    old = encode(sms("old", revision=1))
    untouched.insert_json("sms_inbox", (line for line in [old]))
    text = re.search(r"```sql\n-- 0\d{3}_\w+\.sql\n(.*?)```", (ROOT / "sinks" / "README.md").read_text(), re.DOTALL)
    assert text
    for statement in Migration(9, "0009_added.sql", text[1]).statements(None):
        untouched.execute(statement)
    new = encode(sms("new", revision=1))[:-1] + b',"network":"5G"}'
    untouched.insert_json("sms_inbox", (line for line in [new]))
    for name in ("sms", "sms_history"):
        rows = untouched.rows(f"SELECT sms_key, network FROM {name} ORDER BY sms_key")  # noqa: S608 - names of ours
        assert rows == [("new", "5G"), ("old", None)]


def test_every_table_and_view_says_what_it_counts(tables: ClickHouse) -> None:
    silent = tables.rows("SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''")
    assert silent == []


def test_applying_it_again_does_nothing(untouched: ClickHouse, settings: SinksSettings) -> None:
    names = [migration.name for migration in known_migrations()]
    assert migrate(untouched, None) == names
    assert migrate(untouched, None) == []
    assert run_schema(settings) == 0
    assert untouched.rows("SELECT count() FROM schema_migrations") == [(len(names),)]


@pytest.mark.parametrize("version", [1, 4])
def test_a_run_that_was_cut_off_is_completed_by_the_next(untouched: ClickHouse, version: int) -> None:
    migrate(untouched, None)
    untouched.execute("DROP VIEW messages")
    untouched.execute(f"ALTER TABLE schema_migrations DELETE WHERE version >= {version} SETTINGS mutations_sync = 1")
    due = [migration.name for migration in known_migrations() if migration.version >= version]
    assert migrate(untouched, None) == due
    assert untouched.rows("SELECT count() FROM messages") == [(0,)]


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
def test_a_foreign_table_is_refused_and_stays_as_it_is(untouched: ClickHouse, name: str) -> None:
    """`CREATE OR REPLACE VIEW` would drop it, with all its rows."""
    untouched.execute(f"CREATE TABLE {name} (version Int64, dirty UInt8) ENGINE = MergeTree ORDER BY version")
    untouched.execute(f"INSERT INTO {name} VALUES (7, 0)")  # noqa: S608 - names of ours
    with pytest.raises(SchemaError, match=f"are not of it: {name}. Set CLICKHOUSE_DATABASE"):
        migrate(untouched, None)
    assert untouched.rows(f"SELECT version, dirty FROM {name}") == [(7, 0)]  # noqa: S608 - names of ours
    assert {table for (table,) in untouched.rows("SHOW TABLES")} <= {name, "schema_migrations"}


def test_a_file_that_changed_after_it_was_applied_is_an_error_that_names_it(untouched: ClickHouse) -> None:
    migrate(untouched, None)
    untouched.execute(
        "ALTER TABLE schema_migrations UPDATE checksum = 'x' WHERE version = 2 SETTINGS mutations_sync = 1"
    )
    with pytest.raises(SchemaError, match=known_migrations()[1].name):
        migrate(untouched, None)
    with pytest.raises(SchemaError, match=known_migrations()[1].name):
        verify(untouched)


def test_a_database_without_the_schema_is_an_error_that_says_what_to_run(untouched: ClickHouse) -> None:
    with pytest.raises(SchemaError, match="run `routee-sinks schema`"):
        verify(untouched)


def test_the_statements_for_a_cluster_are_sql(untouched: ClickHouse) -> None:
    for migration in known_migrations():
        for statement in migration.statements("main"):
            literal = statement.replace("\\", "\\\\").replace("'", "\\'")
            ((formatted,),) = untouched.rows(f"SELECT formatQuerySingleLine('{literal}')")
            assert "ON CLUSTER main" in formatted


def test_for_a_cluster_every_table_that_keeps_rows_is_replicated(untouched: ClickHouse) -> None:
    """The engine takes each statement as it is, and misses only the keeper, which these tests do not have."""
    migrate(untouched, None)
    statements = [part for migration in known_migrations() for part in migration.statements("main")]
    tables = {match[1]: part for part in statements if (match := re.search(r"CREATE TABLE IF NOT EXISTS (\w+)", part))}
    replicated = {name: part for name, part in tables.items() if "ENGINE = Null" not in part}
    kept = untouched.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    )
    assert replicated.keys() | {"schema_migrations"} == {name for (name,) in kept}
    # The last first: histories are made like their tables.
    for name, statement in reversed(replicated.items()):
        untouched.execute(f"DROP TABLE {name}")
        # A cluster's configuration and ON CLUSTER would fill these in.
        place = "ReplicatedReplacingMergeTree('/tables/here', 'one', "
        filled = statement.replace("ON CLUSTER 'main'", "").replace("ReplicatedReplacingMergeTree(", place)
        filled = filled.replace("ReplicatedReplacingMergeTree\n", f"{place.rstrip(', ')})\n")
        with pytest.raises(RetryableError, match="NO_ZOOKEEPER"):
            untouched.execute(filled)


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
