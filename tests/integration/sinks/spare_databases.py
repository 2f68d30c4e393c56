"""
Databases with the schema that go from test to test: making one costs more than most tests of the sinks.
"""

from dataclasses import dataclass, field

from sinks.clickhouse.client import ClickHouse

_FORM = "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name"
_FILLED = (
    "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND total_rows > 0"
)
_AT_WORK = "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done"
_APPLIED = "SELECT version, checksum FROM schema_migrations ORDER BY version"


@dataclass
class SpareDatabases:
    """The names of databases that tests have left with the form that the schema gave them, without rows."""

    names: list[str] = field(default_factory=list)
    form: list[tuple[object, ...]] = field(default_factory=list)
    """Of a database that the schema was just applied to."""

    def learn(self, made: ClickHouse) -> None:
        """Learn the form from a database that the schema was just applied to."""
        self.form = self._form_of(made)

    def offer(self, name: str, used: ClickHouse) -> bool:
        """Take a database that a test has used, without its rows; return False when the test changed its form."""
        if self._form_of(used) != self.form or used.rows(_AT_WORK) != [(0,)]:
            return False
        for (table,) in used.rows(_FILLED):
            if table != "schema_migrations":
                used.execute(f"TRUNCATE TABLE `{table}`")
        self.names.append(name)
        return True

    @staticmethod
    def _form_of(connection: ClickHouse) -> list[tuple[object, ...]]:
        here = connection.rows("SELECT currentDatabase()")[0][0]
        tables = [(name, query.replace(here, "")) for name, query in connection.rows(_FORM)]
        return tables + (connection.rows(_APPLIED) if "schema_migrations" in dict(tables) else [])
