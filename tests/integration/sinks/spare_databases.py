"""
Databases with the schema that go from test to test: making one costs more than most tests of the sinks.
"""

from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.migrations import known_migrations
from sinks.clickhouse.objects import objects_of

_FORM = "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name"
_FILLED = (
    "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND total_rows > 0"
)
_AT_WORK = "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done"
_APPLIED = "SELECT version, name, checksum FROM schema_migrations ORDER BY version"
_NOTE = "INSERT INTO schema_migrations (version, name, checksum) VALUES ({v:UInt32}, {n:String}, {c:String})"
_HERE = "{here}"


@dataclass(frozen=True)
class Form:
    """The objects of a database: tables and views with their statements, and the files of the schema in its ledger."""

    statements: dict[str, str]
    applied: list[tuple[object, ...]]


@dataclass
class SpareDatabases:
    """The names of databases that tests have left with the form that the schema gave them, without rows."""

    names: list[str] = field(default_factory=list)
    form: Form | None = None
    """Of a database that the schema was just applied to."""

    def learn(self, made: ClickHouse) -> None:
        """Learn the form from a database that the schema was just applied to."""
        self.form = form_of(made)

    def copy(self, name: str, anywhere: ClickHouse) -> None:
        """Make a database of the learned form: a quarter of the work of applying the files of the schema."""
        assert self.form is not None, "no form is learned yet"
        anywhere.execute(f"CREATE DATABASE `{name}`")
        for statement in _as_they_need_each_other(self.form.statements):
            anywhere.execute(statement.replace(_HERE, name))
        note = _NOTE.replace("schema_migrations", f"`{name}`.schema_migrations", 1)
        for version, file, checksum in self.form.applied:
            anywhere.execute(note, {"v": version, "n": file, "c": checksum})

    def offer(self, name: str, used: ClickHouse) -> bool:
        """Take a database that a test has used, without its rows; return False when the test changed its form."""
        if form_of(used) != self.form or used.rows(_AT_WORK) != [(0,)]:
            return False
        for (table,) in used.rows(_FILLED):
            if table != "schema_migrations":
                used.execute(f"TRUNCATE TABLE `{table}`")
        self.names.append(name)
        return True


def form_of(connection: ClickHouse) -> Form:
    """Return the form of the database of the connection."""
    here = connection.rows("SELECT currentDatabase()")[0][0]
    statements = {str(name): str(query).replace(here, _HERE) for name, query in connection.rows(_FORM)}
    return Form(statements, connection.rows(_APPLIED) if "schema_migrations" in statements else [])


def _as_they_need_each_other(statements: dict[str, str]) -> list[str]:
    """Return the statements of tables and views, each behind those of what it reads or fills."""
    objects = objects_of(known_migrations())
    needs = {name: objects[name].needs & statements.keys() if name in objects else set() for name in statements}
    return [statements[name] for name in TopologicalSorter(needs).static_order()]
