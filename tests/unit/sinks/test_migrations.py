"""
The numbered files of the schema: each applied once, in order, never changed after.
"""

import pytest

from sinks.clickhouse.migrations import Migration, known_migrations, outstanding, render
from sinks.errors import SchemaError

ONE = Migration(1, "0001_a.sql", "CREATE TABLE a {{on_cluster}} (x UInt8) ENGINE = {{replicated}}MergeTree;\n-- done\n")
TWO = Migration(2, "0002_b.sql", "SELECT 1;\nSELECT ';' AS text;\n")


def test_an_applied_file_is_not_applied_again() -> None:
    assert outstanding([ONE, TWO], []) == [ONE, TWO]
    assert outstanding([ONE, TWO], [(1, ONE.checksum)]) == [TWO]


def test_a_changed_file_that_was_applied_is_an_error_that_names_it() -> None:
    with pytest.raises(SchemaError, match=r"0001_a\.sql was applied and has changed"):
        outstanding([ONE, TWO], [(1, TWO.checksum)])


def test_a_database_ahead_of_this_version_is_an_error() -> None:
    with pytest.raises(SchemaError, match="schema 0002, which this version does not know"):
        outstanding([ONE], [(1, ONE.checksum), (2, TWO.checksum)])


def test_statements_end_at_the_semicolon_that_ends_a_line() -> None:
    assert TWO.statements(None) == ["SELECT 1", "SELECT ';' AS text"]


def test_a_comment_alone_is_no_statement() -> None:
    assert len(ONE.statements(None)) == 1


def test_one_server_gets_plain_tables_and_a_cluster_replicated_ones() -> None:
    assert render("a {{on_cluster}} {{replicated}}b", None) == "a  b"
    assert render("a {{on_cluster}} {{replicated}}b", "main") == "a ON CLUSTER 'main' Replicatedb"


def test_the_files_are_numbered_without_gaps_and_leave_no_placeholder() -> None:
    known = known_migrations()
    assert [migration.version for migration in known] == list(range(1, len(known) + 1))
    for migration in known:
        for statement in [*migration.statements(None), *migration.statements("main")]:
            assert "{{" not in statement


def test_every_object_is_made_on_the_cluster() -> None:
    for migration in known_migrations():
        for statement in migration.statements("main"):
            # Rows are copied on one server: the tables are replicated.
            assert "ON CLUSTER 'main'" in statement or "\nINSERT INTO " in f"\n{statement}"
            assert "ENGINE = Merge" not in statement
            assert "ENGINE = Replacing" not in statement
