"""
The numbered files of the schema: each applied once, in order, and never changed after.

Each statement of a file ends with `;` at the end of a line. Each is safe to run again: ClickHouse has no transaction
around them, so an interrupted run is repeated. Placeholders make the schema fit one server and a cluster,
`{{on_cluster}}` and `{{replicated}}`, and the zone of days and hours, `{{time_zone}}`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

from sinks.errors import SchemaError

UTC: Final = "UTC"
"""The zone of days and hours when no other is set."""

_FILE: Final = re.compile(r"(\d{4})_[a-z_]+\.sql")
_STATEMENT_END: Final = re.compile(r";[ \t]*(?:\n|\Z)")
_COMMENT: Final = re.compile(r"^\s*--.*$", re.MULTILINE)
_CREATED: Final = re.compile(
    r"^CREATE (?:OR REPLACE )?(?:MATERIALIZED )?(?:TABLE|VIEW) (?:IF NOT EXISTS )?(\w+)", re.MULTILINE
)
_DESCRIBED: Final = re.compile(r"^COMMENT '([^']+)'", re.MULTILINE)


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

    @property
    def describes(self) -> set[str]:
        """Return the comments that the file gives to tables and views."""
        return set(_DESCRIBED.findall(self.text))

    @property
    def parts(self) -> list[str]:
        """Return the statements with their placeholders."""
        return [part.strip() for part in _STATEMENT_END.split(self.text) if _COMMENT.sub("", part).strip()]

    def statements(self, cluster: str | None, time_zone: str = UTC) -> list[str]:
        """Return the statements for one server (None) or for a cluster, with days and hours of the zone."""
        return [render(part, cluster, time_zone) for part in self.parts]


def render(sql: str, cluster: str | None, time_zone: str = UTC) -> str:
    """Return the statement with its placeholders filled in."""
    filled = {
        "{{on_cluster}}": f"ON CLUSTER '{cluster}'" if cluster else "",
        "{{replicated}}": "Replicated" if cluster else "",
        "{{time_zone}}": time_zone,
    }
    for placeholder, text in filled.items():
        sql = sql.replace(placeholder, text)
    return sql.strip()


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
