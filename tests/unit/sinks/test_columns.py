"""
One vocabulary: the fields of the contract's records are the files' columns and ClickHouse's, with the types they need.

The real engine says the same of every table and view: `tests/integration/sinks/test_schema.py`.
"""

import re
from datetime import date
from importlib.resources import files
from typing import Any

import pyarrow as pa
import pytest

from sinks.files.columns import POSITION, SCHEMAS, column_type
from sinks.tables import TABLE_OF
from streams.contract.records import Money, Reason, Time
from tests.support.sql_types import MODEL_OF, fits

TEXT, INT, REAL, YES_NO = "string", "int64", "double", "bool"
TIME, MONEY, COUNTS = "timestamp[ms, tz=UTC]", "decimal128(18, 8)", "map<string, int64>"

# Readers of archives rely on these: a column may be added, and none may change.
FILES_OF_0_1_0 = {
    "sms_status": {
        "sms_key": TEXT,
        "message_id": TEXT,
        "sms_id": TEXT,
        "campaign_tracking_id": TEXT,
        "campaign_name": TEXT,
        "part": INT,
        "parts": INT,
        "label": TEXT,
        "recipient": TEXT,
        "sender": TEXT,
        "country": TEXT,
        "operator": TEXT,
        "groups": "list<item: string>",
        "status": TEXT,
        "previous_status": TEXT,
        "is_final": YES_NO,
        "detailed_status": TEXT,
        "status_description": TEXT,
        "status_updated_at": TIME,
        "queued_at": TIME,
        "sent_at": TIME,
        "final_at": TIME,
        "latency_seconds": REAL,
        "price": MONEY,
        "application_name": TEXT,
        "direction": TEXT,
        "originating_service": TEXT,
        "message": TEXT,
        "revision": INT,
        "conflicts": INT,
        "first_received_at": TIME,
        "received_at": TIME,
        "partition": INT,
        "offset": INT,
        "index": INT,
    },
    "campaign_progress": {
        "campaign_tracking_id": TEXT,
        "name": TEXT,
        "campaign_status": TEXT,
        "strategy": TEXT,
        "total_recipients": INT,
        "messages": INT,
        "messages_final": INT,
        "messages_delivered": INT,
        "messages_by_status": COUNTS,
        "parts": INT,
        "parts_by_status": COUNTS,
        "reported_by_status": COUNTS,
        "progress": REAL,
        "delivery_rate": REAL,
        "price_total": MONEY,
        "reconciliation": TEXT,
        "reconciliation_unit": TEXT,
        "drift": COUNTS,
        "is_final": YES_NO,
        "conflicts": INT,
        "stale_reports": INT,
        "first_received_at": TIME,
        "last_received_at": TIME,
        "finished_at": TIME,
        "revision": INT,
    },
    "rejected_callbacks": {
        "received_at": TIME,
        "stage": TEXT,
        "reason": TEXT,
        "detail": TEXT,
        "body": TEXT,
        "body_base64": TEXT,
        "partition": INT,
        "offset": INT,
        "index": INT,
    },
}


@pytest.mark.parametrize("table", FILES_OF_0_1_0)
def test_files_keep_the_columns_of_the_first_release(table: str) -> None:
    found = {field.name: str(field.type) for field in SCHEMAS[table]}
    expected = FILES_OF_0_1_0[table] | {"topic_partition": INT, "topic_offset": INT}
    assert {name: found.get(name) for name in expected} == expected
    assert list(dict.fromkeys([*expected, *found]))[: len(expected)] == [name for name in found if name in expected]


@pytest.mark.parametrize("table", FILES_OF_0_1_0)
def test_every_column_of_a_file_may_be_null(table: str) -> None:
    """Also those of required fields: a record of an older version lacks the fields that came after it."""
    assert all(field.nullable and field.metadata is None for field in SCHEMAS[table])


@pytest.mark.parametrize("table", TABLE_OF.values())
def test_files_have_a_column_for_every_field_in_their_order_and_then_the_position(table: str) -> None:
    assert SCHEMAS[table].names == [*MODEL_OF[table].model_fields, *POSITION]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (str | None, pa.string()),
        (Reason, pa.string()),
        (bool, pa.bool_()),
        (int | None, pa.int64()),
        (float, pa.float64()),
        (Time | None, pa.timestamp("ms", tz="UTC")),
        (Money, pa.decimal128(18, 8)),
        (list[str] | None, pa.list_(pa.string())),
        (dict[str, int], pa.map_(pa.string(), pa.int64())),
    ],
)
def test_the_type_of_a_column_follows_from_the_field(annotation: Any, expected: pa.DataType) -> None:  # noqa: ANN401
    assert column_type(annotation) == expected


@pytest.mark.parametrize("annotation", [bytes, date, str | int, set[str], Any])
def test_a_field_without_a_rule_is_an_error_and_not_a_guess(annotation: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError, match="no type of a column stands for"):
        column_type(annotation)


SQL = "".join(file.read_text() for file in sorted((files("sinks.clickhouse") / "schema").iterdir(), key=str))


def clickhouse_columns(table: str) -> dict[str, str]:
    """Return the columns that inserts may fill, with their types: those created, and those added by later files."""
    created = re.search(rf"^CREATE TABLE IF NOT EXISTS {table} [^(]*\n\((.*?)\n\)\n", SQL, re.DOTALL | re.MULTILINE)
    assert created
    added = re.findall(rf"^ALTER TABLE {table} .*?;", SQL, re.DOTALL | re.MULTILINE)
    lines = [*created[1].splitlines(), *re.findall(r"ADD COLUMN (?:IF NOT EXISTS )?(.+?),?[;\n]", "".join(added))]
    columns = (
        re.match(r"\s*`?([a-z_0-9]+)`?\s+([A-Z]\w+(?:\([^ ]*(?:, ?[^ ]+)*\))?)(?: (.*))?", line) for line in lines
    )
    return {
        found[1]: found[2] for found in columns if found and not (found[3] or "").strip().startswith("MATERIALIZED")
    }


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("sms_inbox", "sms_status"),
        ("sms_status", "sms_status"),
        ("delivery_inbox", "delivery_windows"),
        ("delivery_windows", "delivery_windows"),
        ("alarm_inbox", "delivery_alarms"),
        ("delivery_alarms", "delivery_alarms"),
        ("campaign_inbox", "campaign_progress"),
        ("campaign_progress", "campaign_progress"),
        ("rejected_callbacks", "rejected_callbacks"),
    ],
)
def test_clickhouse_has_a_column_of_the_right_type_for_every_field(name: str, table: str) -> None:
    columns = clickhouse_columns(name)
    others = {"rejected_callbacks": {*POSITION}, "sms_status": {"is_superseded"}}.get(name, set())
    fields = MODEL_OF[table].model_fields
    assert columns.keys() == fields.keys() | others
    assert {field: columns[field] for field in fields if not fits(table, field, columns[field])} == {}
