"""
One vocabulary: the records' fields, the files' columns and ClickHouse's columns are the same.
"""

import re
from importlib.resources import files

import pytest

from sinks.files.columns import SCHEMAS
from sinks.tables import TABLE_OF
from streams.contract.records import PUBLIC_RECORDS

POSITION = {"topic_partition", "topic_offset"}
TABLES = {table: set(PUBLIC_RECORDS[topic.suffix].model_fields) for topic, table in TABLE_OF.items()}


def clickhouse_columns(table: str) -> set[str]:
    text = "".join(
        file.read_text() for file in (files("sinks.clickhouse") / "schema").iterdir() if file.name.endswith(".sql")
    )
    body = re.search(rf"CREATE TABLE IF NOT EXISTS {table} [^(]*\n\((.*?)\n\)\n", text, re.DOTALL)
    assert body
    lines = [line.split() for line in body[1].splitlines()]
    known = {words[0].strip("`") for words in lines if words and words[0] not in {"--", "INDEX", "CONSTRAINT"}}
    return known - {words[0] for words in lines if "MATERIALIZED" in words}


@pytest.mark.parametrize("table", TABLES)
def test_files_have_a_column_for_every_field_and_the_position(table: str) -> None:
    assert set(SCHEMAS[table].names) == TABLES[table] | POSITION


@pytest.mark.parametrize(("inbox", "table"), [("sms_inbox", "sms_status"), ("campaign_inbox", "campaign_progress")])
def test_an_inbox_has_a_column_for_every_field(inbox: str, table: str) -> None:
    assert clickhouse_columns(inbox) == TABLES[table]


@pytest.mark.parametrize("table", TABLES)
def test_clickhouse_has_a_column_for_every_field(table: str) -> None:
    extra = POSITION if table == "rejected_callbacks" else set()
    assert clickhouse_columns(table) == TABLES[table] | extra
