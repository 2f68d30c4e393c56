"""
The numbered files of the schema: each applied once, in order, and never changed after.

Each statement of a file ends with `;` at the end of a line. Each is safe to run again: ClickHouse has no transaction
around them, so an interrupted run is repeated. Two placeholders make the schema fit one server and a cluster:
`{{on_cluster}}` and `{{replicated}}`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

from sinks.clickhouse.client import ClickHouse
from sinks.errors import SchemaError

_FILE: Final = re.compile(r"(\d{4})_[a-z_]+\.sql")
_STATEMENT_END: Final = re.compile(r";[ \t]*(?:\n|\Z)")
_COMMENT: Final = re.compile(r"^\s*--.*$", re.MULTILINE)
_CREATED: Final = re.compile(
    r"^CREATE (?:OR REPLACE )?(?:MATERIALIZED )?(?:TABLE|VIEW) (?:IF NOT EXISTS )?(\w+)", re.MULTILINE
)
_DESCRIBED: Final = re.compile(r"^COMMENT '([^']+)'", re.MULTILINE)

_LEDGER: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations {{on_cluster}}
(
    version    UInt32,
    name       String,
    checksum   String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY version
COMMENT 'Which files of the schema were applied'
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the schema."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Return the SHA-256 of the file, placeholders included."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def creates(self) -> set[str]:
        """Return the names of the tables and views that the file creates."""
        return set(_CREATED.findall(self.text))

    def statements(self, cluster: str | None) -> list[str]:
        """Return the statements for one server (None) or for a cluster."""
        return [render(part, cluster) for part in _STATEMENT_END.split(self.text) if _COMMENT.sub("", part).strip()]


def render(sql: str, cluster: str | None) -> str:
    """Return the statement with its placeholders filled in."""
    on_cluster = f"ON CLUSTER '{cluster}'" if cluster else ""
    return sql.replace("{{on_cluster}}", on_cluster).replace("{{replicated}}", "Replicated" if cluster else "").strip()


def known_migrations() -> list[Migration]:
    """Return the files of this version, in order."""
    folder = files("sinks.clickhouse") / "schema"
    found = [
        Migration(int(match[1]), file.name, file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if (match := _FILE.fullmatch(file.name))
    ]
    return sorted(found, key=lambda migration: migration.version)


def outstanding(known: Sequence[Migration], applied: Iterable[tuple[int, str]]) -> list[Migration]:
    """
    Return the files still to be applied, given the (version, checksum) of the applied ones.

    SchemaError when an applied file has changed, or the database has a file that this version does not know.
    """
    checksums = dict(applied)
    by_version = {migration.version: migration for migration in known}
    for version, checksum in sorted(checksums.items()):
        if version not in by_version:
            raise SchemaError(
                f"the database has schema {version:04d}, which this version does not know: use a newer one"
            )
        if by_version[version].checksum != checksum:
            raise SchemaError(
                f"{by_version[version].name} was applied and has changed since: put it back and add a new file instead"
            )
    return [migration for migration in known if migration.version not in checksums]


def create_database(clickhouse: ClickHouse, database: str, cluster: str | None) -> None:
    """Create the database if it is missing. The connection may be to another database."""
    clickhouse.execute(render(f"CREATE DATABASE IF NOT EXISTS `{database}` {{{{on_cluster}}}}", cluster))


def migrate(clickhouse: ClickHouse, cluster: str | None) -> list[str]:
    """
    Apply the outstanding files, and return their names.

    SchemaError as in `outstanding`, and when a table or view that is not ours has a name of the schema: it stays as it
    is.
    """
    known = known_migrations()
    _require_own_ledger(clickhouse)
    clickhouse.execute(render(_LEDGER, cluster))
    due = outstanding(known, _applied(clickhouse))
    _require_no_strangers(clickhouse, due, ours={name for it in known if it not in due for name in it.creates})
    for migration in due:
        for statement in migration.statements(cluster):
            clickhouse.execute(statement)
        clickhouse.execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES ({v:UInt32}, {n:String}, {c:String})",
            {"v": migration.version, "n": migration.name, "c": migration.checksum},
        )
    return [migration.name for migration in due]


def _require_own_ledger(clickhouse: ClickHouse) -> None:
    """Raise SchemaError when `schema_migrations` is another tool's: the name is a common one."""
    columns = clickhouse.rows(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'schema_migrations'"
    )
    if columns and ("checksum",) not in columns:
        raise _strange({"schema_migrations"})


def _require_no_strangers(clickhouse: ClickHouse, due: Sequence[Migration], ours: set[str]) -> None:
    """Raise SchemaError for foreign tables. One with a comment of the schema is ours, from an interrupted run."""
    described = {text for migration in due for text in _DESCRIBED.findall(migration.text)}
    there = clickhouse.rows("SELECT name, comment FROM system.tables WHERE database = currentDatabase()")
    others = {name for name, comment in there if comment not in described} - ours
    if strangers := others & {name for migration in due for name in migration.creates}:
        raise _strange(strangers)


def _strange(names: set[str]) -> SchemaError:
    listed = ", ".join(sorted(names))
    return SchemaError(
        f"tables or views of the database have names of this schema and are not of it: {listed}. "
        "Set CLICKHOUSE_DATABASE to another one"
    )


def verify(clickhouse: ClickHouse) -> None:
    """Raise SchemaError unless the database has exactly the schema of this version."""
    there = clickhouse.rows(
        "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'"
    )
    due = outstanding(known_migrations(), _applied(clickhouse) if there[0][0] else [])
    if due:
        raise SchemaError(f"the database lacks {', '.join(m.name for m in due)}: run `routee-sinks schema`")


def _applied(clickhouse: ClickHouse) -> list[tuple[int, str]]:
    return [(row[0], row[1]) for row in clickhouse.rows("SELECT version, checksum FROM schema_migrations FINAL")]
