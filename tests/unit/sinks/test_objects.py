"""
The tables and views of a database, read from the files of the schema.
"""

import pytest

from sinks.clickhouse.migrations import Migration, known_migrations
from sinks.clickhouse.objects import Kind, Objects, SchemaObject, copies_of, objects_of

FILE = """
-- A comment; with a semicolon
CREATE TABLE IF NOT EXISTS kept {{on_cluster}}
(
    id      String COMMENT 'an id, (any) -- of \\'them\\'',  -- said; so
    `index` Decimal(18, 8) DEFAULT if(id = '', 1, 2),
    PROJECTION p (SELECT id ORDER BY id),
    INDEX id_bloom id TYPE bloom_filter(0.01) GRANULARITY 1,
    CONSTRAINT is_one CHECK id != '' AND length(id) < 10
)
ENGINE = {{replicated}}ReplacingMergeTree(id)
ORDER BY id
COMMENT 'Kept; AS SELECT nothing';

CREATE TABLE IF NOT EXISTS history {{on_cluster}} AS kept
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY id;

CREATE TABLE IF NOT EXISTS inbox {{on_cluster}} (id String, `index` Decimal(18, 8)) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS inbox_to_kept {{on_cluster}} TO kept
AS SELECT * FROM inbox
COMMENT 'Passes on';

CREATE MATERIALIZED VIEW IF NOT EXISTS kept_to_history {{on_cluster}} TO history AS SELECT * FROM kept;

CREATE OR REPLACE VIEW latest {{on_cluster}}
AS
SELECT
    id,  -- the id
    '  two  spaces -- and no comment ' AS text
FROM kept FINAL
COMMENT 'Latest AS SELECT';
"""


def objects(*texts: str) -> Objects:
    return objects_of(Migration(number, f"{number:04d}_x.sql", text) for number, text in enumerate(texts, 1))


def of(name: str, *texts: str) -> SchemaObject:
    return objects(*texts)[name]


def test_a_table_has_its_columns_and_its_engine() -> None:
    kept = of("kept", FILE)
    assert kept.kind is Kind.TABLE
    assert kept.engine == "ReplacingMergeTree"
    assert kept.columns == {
        "id": "id String COMMENT 'an id, (any) -- of \\'them\\''",
        "index": "`index` Decimal(18, 8) DEFAULT if(id = '', 1, 2)",
    }
    assert kept.keeps_rows


def test_a_table_like_another_has_its_columns() -> None:
    assert of("history", FILE).columns == of("kept", FILE).columns


def test_an_inbox_keeps_no_rows() -> None:
    inbox = of("inbox", FILE)
    assert (inbox.engine, inbox.keeps_rows, list(inbox.columns)) == ("Null", False, ["id", "index"])


def test_a_view_has_its_query_in_one_line() -> None:
    view, passage = of("latest", FILE), of("inbox_to_kept", FILE)
    assert (view.kind, view.select) == (
        Kind.VIEW,
        "SELECT id, '  two  spaces -- and no comment ' AS text FROM kept FINAL",
    )
    assert (passage.kind, passage.target, passage.source) == (Kind.PASSAGE, "kept", "inbox")


def test_each_view_that_takes_rows_from_a_table_is_a_copy_more() -> None:
    more = "CREATE MATERIALIZED VIEW IF NOT EXISTS more {{on_cluster}} TO history AS SELECT * FROM inbox;"
    found = objects(FILE, more)
    assert [copies_of(found, table) for table in ("kept", "inbox", "history")] == [2, 3, 1]


@pytest.mark.parametrize(
    ("change", "columns"),
    [
        ("ADD COLUMN IF NOT EXISTS network Nullable(String)", {"id", "index", "network"}),
        ("ADD COLUMN a Map(String, UInt8) AFTER id, DROP COLUMN IF EXISTS `index`", {"id", "a"}),
        ("MODIFY SETTING min_bytes_for_wide_part = 1", {"id", "index"}),
        ("DROP CONSTRAINT IF EXISTS is_one, ADD CONSTRAINT is_one CHECK id IN ('a', 'b')", {"id", "index"}),
    ],
)
def test_a_later_file_changes_a_table(change: str, columns: set[str]) -> None:
    kept = of("kept", FILE, f"ALTER TABLE kept {{{{on_cluster}}}} {change};")
    assert set(kept.columns) == columns
    assert len(kept.statements) == 2
    assert not any(definition.endswith("AFTER id") for definition in kept.columns.values())


def test_a_later_file_replaces_or_drops_a_view() -> None:
    assert of("latest", FILE, "CREATE OR REPLACE VIEW latest {{on_cluster}} AS SELECT 1;").select == "SELECT 1"
    assert "inbox_to_kept" not in objects(FILE, "DROP VIEW IF EXISTS inbox_to_kept {{on_cluster}};")
    changed = of(
        "inbox_to_kept", FILE, "ALTER TABLE inbox_to_kept {{on_cluster}} MODIFY QUERY SELECT id, 1 FROM inbox;"
    )
    assert changed.select == "SELECT id, 1 FROM inbox"


def test_a_view_that_leaves_rows_out_or_puts_them_together_is_no_copy() -> None:
    chosen = "CREATE MATERIALIZED VIEW marks TO history AS SELECT id FROM (SELECT id FROM inbox GROUP BY id);"
    joined = "CREATE MATERIALIZED VIEW joined TO history AS SELECT id FROM inbox JOIN kept USING (id);"
    found = objects(FILE, chosen, joined)
    assert copies_of(found, "inbox") == copies_of(objects(FILE), "inbox")
    assert {found[name].source for name in ("marks", "joined")} == {"inbox"}


def test_tables_that_change_places_keep_their_names_and_are_made_in_their_new_form() -> None:
    made = "CREATE TABLE kept_next (id UUID) ENGINE = {{replicated}}MergeTree ORDER BY id;"
    found = objects(FILE, made, "EXCHANGE TABLES kept AND kept_next {{on_cluster}};", "INSERT INTO kept SELECT 'a';")
    assert (found["kept"].name, found["kept"].engine, found["kept_next"].engine) == (
        *("kept", "MergeTree", "ReplacingMergeTree"),
    )
    assert found["kept"].statements == (made.replace("kept_next", "kept").rstrip(";"),)
    assert found["kept_next"].columns == of("kept", FILE).columns
    assert [*found].index("kept") == [*objects(FILE)].index("kept")
    assert "kept_next" not in objects(FILE, made, "EXCHANGE TABLES kept AND kept_next;", "DROP TABLE kept_next SYNC;")


def test_a_table_that_is_made_anew_stays_before_the_views_that_read_it() -> None:
    names = [*objects_of(known_migrations())]
    for view in objects_of(known_migrations()).values():
        if view.kind is Kind.PASSAGE:
            assert names.index(view.source) < names.index(view.name)


def test_a_statement_that_cannot_be_followed_is_an_error() -> None:
    with pytest.raises(ValueError, match="RENAME TABLE a TO b"):
        objects("RENAME TABLE a TO b;")


def test_every_file_of_the_schema_can_be_followed() -> None:
    known = known_migrations()
    found = objects_of(known)
    made_for_a_while = {"sms_status_next", "sms_inbox_to_status_next"}
    assert found.keys() == {name for migration in known for name in migration.creates} - made_for_a_while
    for thing in found.values():
        if thing.kind is Kind.TABLE:
            assert thing.columns
            assert thing.engine
        else:
            assert thing.select
        assert (thing.kind is Kind.PASSAGE) == bool(thing.target)
    assert [copies_of(found, table) for table in ("sms_inbox", "campaign_inbox", "rejected_callbacks")] == [5, 3, 1]
