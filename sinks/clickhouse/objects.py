"""
The tables and views that a database has once the files of the schema are applied, read from these files.

Pure. The statements of the files are followed in order: CREATE makes an object, ALTER and DROP change it, EXCHANGE lets
two change places; INSERT, DETACH and ATTACH leave them as they are. So a file more of the schema needs no second list.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from sinks.clickhouse.migrations import Migration

# Quoted text, a comment, a character that nests or parts, or anything up to the next of these.
_PIECE: Final = re.compile(r"'(?:[^'\\]|\\.)*'|--[^\n]*|[(),]|[^'(),-]+|-", re.DOTALL)
_CREATE: Final = re.compile(
    r"CREATE (?:OR REPLACE )?(TABLE|MATERIALIZED VIEW|VIEW) (?:IF NOT EXISTS )?(\w+) (.*)", re.DOTALL
)
_ALTER: Final = re.compile(r"ALTER TABLE (\w+) (.*)", re.DOTALL)
_DROP: Final = re.compile(r"DROP (?:TABLE|VIEW) (?:IF EXISTS )?(\w+)")
_EXCHANGE: Final = re.compile(r"EXCHANGE TABLES (\w+) AND (\w+)")
_OF_NO_FORM: Final = re.compile(r"(?:INSERT INTO|DETACH TABLE IF EXISTS|ATTACH TABLE IF NOT EXISTS) \w+\b")
_LIKE: Final = re.compile(r"AS (\w+) ENGINE\b")
_ENGINE: Final = re.compile(r"\bENGINE = (?:\{\{replicated\}\})?(\w+)")
_TO: Final = re.compile(r"TO (\w+) ")
_SELECT: Final = re.compile(r"\bAS ((?:SELECT|WITH) .*?)(?: COMMENT '(?:[^'\\]|\\.)*')?$", re.DOTALL)
_FROM: Final = re.compile(r"\bFROM (\w+)")
_READ: Final = re.compile(r"\b(?:FROM|JOIN) (\w+)")
_CHOOSES: Final = re.compile(r"\b(?:WHERE|JOIN|GROUP BY)\b")
_NO_COLUMN: Final = re.compile(r"(?:INDEX|CONSTRAINT|PROJECTION|PRIMARY KEY) ")
_ADD_COLUMN: Final = re.compile(r"ADD COLUMN (?:IF NOT EXISTS )?(.*?)(?: AFTER \S+| FIRST)?$")
_DROP_COLUMN: Final = re.compile(r"DROP COLUMN (?:IF EXISTS )?(\S+)$")
_MODIFY_QUERY: Final = re.compile(r"MODIFY QUERY (.*)")


class Kind(Enum):
    """The kinds of objects, in the words for people."""

    TABLE = "table"
    PASSAGE = "materialized view"
    """Passes each inserted block on from one table to another; keeps no rows."""
    VIEW = "view"
    """Is read by people; no row is lost when it is missing."""


@dataclass(frozen=True, slots=True)
class SchemaObject:
    """A table or a view as the files of the schema make it."""

    name: str
    kind: Kind
    statements: tuple[str, ...]
    """Make the object when they are run in this order; with placeholders."""
    engine: str
    """The engine of a table, without `Replicated`."""
    columns: Mapping[str, str]
    """Column of a table → its definition."""
    target: str
    """The table that a materialized view fills."""
    select: str
    """The query of a view, in one line."""

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}"

    @property
    def keeps_rows(self) -> bool:
        """Return whether rows are stored in it: an inbox passes them on and stores none."""
        return self.kind is Kind.TABLE and self.engine != "Null"

    @property
    def needs(self) -> set[str]:
        """Return the tables and views that have to be there before a view can be made: all that it reads or fills."""
        return {*_READ.findall(self.select), self.target} - {""}

    @property
    def source(self) -> str:
        """Return the table from which a view takes its rows first."""
        found = _FROM.search(self.select)
        return found[1] if found else ""

    @property
    def passes_every_row_on(self) -> bool:
        """Return whether a materialized view makes one row of each: ClickHouse's count of written rows proves it."""
        return self.kind is Kind.PASSAGE and not _CHOOSES.search(self.select)


Objects = Mapping[str, SchemaObject]
"""Objects by name, in the order in which they are made."""


def objects_of(migrations: Iterable[Migration]) -> Objects:
    """Return the objects of these files. ValueError for a statement that makes, changes and fills none."""
    objects: dict[str, SchemaObject] = {}
    gone: set[str] = set()
    for migration in migrations:
        for statement in migration.parts:
            _follow(objects, gone, statement)
    return {name: it for name, it in objects.items() if name not in gone}


def copies_of(objects: Objects, table: str) -> int:
    """Return how many tables take an inserted row: the table itself, and each that a view fills from it."""
    return 1 + sum(it.passes_every_row_on and it.source == table for it in objects.values())


def _follow(objects: dict[str, SchemaObject], gone: set[str], statement: str) -> None:
    text = _in_one_line(statement)
    if created := _CREATE.match(text):
        gone.discard(created[2])
        objects[created[2]] = _created(objects, statement, *created.groups())
    elif altered := _ALTER.match(text):
        table = objects[altered[1]]
        objects[table.name] = _altered(replace(table, statements=(*table.statements, statement)), altered[2])
    elif dropped := _DROP.match(text):
        # A table that is made anew keeps its place, before the views that read it.
        gone.add(dropped[1])
    elif exchanged := _EXCHANGE.match(text):
        one, other = (objects[name] for name in exchanged.groups())
        objects[one.name], objects[other.name] = _renamed(other, one.name), _renamed(one, other.name)
    elif not _OF_NO_FORM.match(text):
        raise ValueError(f"not a statement of a schema: {text[:60]}")


def _created(objects: Objects, statement: str, what: str, name: str, rest: str) -> SchemaObject:
    if what == "TABLE":
        like, engine = _LIKE.match(rest), _ENGINE.search(rest)
        if like:
            # The other table may have changed since: `AS` would take the columns that it has now.
            model = objects[like[1]]
            statement = statement.replace(f"AS {model.name}", f"({', '.join(_list_of(model))})", 1)
        columns = objects[like[1]].columns if like else _columns(rest)
        return SchemaObject(name, Kind.TABLE, (statement,), engine[1] if engine else "", columns, "", "")
    select, target = _SELECT.search(rest), _TO.match(rest)
    kind = Kind.VIEW if what == "VIEW" else Kind.PASSAGE
    return SchemaObject(name, kind, (statement,), "", {}, target[1] if target else "", select[1] if select else "")


def _list_of(table: SchemaObject) -> list[str]:
    """Return the columns of a table, with its indexes and constraints, as CREATE lists them."""
    created = _CREATE.match(_in_one_line(table.statements[0]))
    items = _split(created[3][1:]) if created else []
    return [*table.columns.values(), *(item for item in items if _NO_COLUMN.match(item))]


def _renamed(table: SchemaObject, name: str) -> SchemaObject:
    statements = (re.sub(rf"\b{table.name}\b", name, statement, count=1) for statement in table.statements)
    return replace(table, name=name, statements=tuple(statements))


def _altered(table: SchemaObject, changes: str) -> SchemaObject:
    if query := _MODIFY_QUERY.match(changes):
        return replace(table, select=query[1])
    columns = dict(table.columns)
    for change in _split(changes):
        if added := _ADD_COLUMN.match(change):
            columns.setdefault(_name(added[1]), added[1])
        elif dropped := _DROP_COLUMN.match(change):
            columns.pop(_name(dropped[1]), None)
    return replace(table, columns=columns)


def _columns(rest: str) -> dict[str, str]:
    """Return the columns of a table's list in brackets."""
    items = _split(rest[1:])
    return {_name(item): item for item in items if not _NO_COLUMN.match(item)}


def _name(definition: str) -> str:
    return definition.partition(" ")[0].strip("`")


def _in_one_line(statement: str) -> str:
    """Return the statement without comments and placeholder, and with single spaces, except in quoted text."""
    bare = "".join(piece for piece in _PIECE.findall(statement) if not piece.startswith("--"))
    spaced = bare.replace("{{on_cluster}}", " ")
    return "".join(
        piece if piece.startswith("'") else re.sub(r"\s+", " ", piece) for piece in _PIECE.findall(spaced)
    ).strip()


def _split(text: str) -> list[str]:
    """Split at the commas outside of brackets, up to the bracket that closes the text."""
    parts = [""]
    depth = 0
    for piece in _PIECE.findall(text):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if depth < 0:
            break
        if piece == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts]
