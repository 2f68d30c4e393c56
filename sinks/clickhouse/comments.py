"""
The comment of each column in the database. `routee-sinks schema` applies it.

It is no part of the numbered files: words may change with any version, and an applied file never does.
"""

from collections.abc import Mapping
from typing import Final

from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.migrations import known_migrations, render
from sinks.clickhouse.objects import Kind, objects_of
from sinks.clickhouse.words import words_of

_COLUMNS: Final = "SELECT table, name, comment FROM system.columns WHERE database = currentDatabase()"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "'": "\\'"})


def apply_comments(clickhouse: ClickHouse, cluster: str | None) -> list[str]:
    """Give each column of the schema its comment, and return the names of the changed tables and views."""
    due = _due(clickhouse)
    for name, comments in due.items():
        changes = ", ".join(
            f"COMMENT COLUMN IF EXISTS `{column}` '{words.translate(_ESCAPES)}'" for column, words in comments.items()
        )
        clickhouse.execute(render(f"ALTER TABLE {name} {{{{on_cluster}}}} {changes}", cluster))
    return [*due]


def _due(clickhouse: ClickHouse) -> Mapping[str, Mapping[str, str]]:
    """Return table or view → column → words, of the columns that have others. Columns of others stay as they are."""
    objects = objects_of(known_migrations()).values()
    # No person reads the columns of a view that only passes rows on.
    ours = {"schema_migrations", *(it.name for it in objects if it.kind is not Kind.PASSAGE)}
    due: dict[str, dict[str, str]] = {}
    for name, column, comment in clickhouse.rows(_COLUMNS):
        words = words_of(name, column) if name in ours else None
        if words and words != comment:
            due.setdefault(name, {})[column] = words
    return due
