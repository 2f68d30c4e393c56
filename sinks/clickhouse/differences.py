"""
How a database differs from the objects that the files of the schema make.

Looked at is all that decides where an inserted row goes: that an object is there, its engine, its columns, and the
definition of a view. More columns, views, indexes and codecs are the owner's affair.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.migrations import render
from sinks.clickhouse.objects import Kind, Objects, SchemaObject

_TARGET: Final = re.compile(r"CREATE MATERIALIZED VIEW [^(]*?\bTO (\S+)")
_REFRESHED: Final = re.compile(r"CREATE MATERIALIZED VIEW [^(]*?\bREFRESH ")
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "'": "\\'"})
_ENGINE_OF: Final = {Kind.VIEW: "View", Kind.PASSAGE: "MaterializedView"}


class Fault(Enum):
    """The ways in which an object differs."""

    MISSING = "missing"
    COLUMNS = "columns"
    """Columns are missing: the engine leaves their values out, without an error."""
    DEFINITION = "definition"
    """A view with another query or target."""
    RETENTION = "retention"
    """Rows go at another time than the settings say."""
    SHARDS = "shards"
    """Rows lie elsewhere than new revisions of them would go: a person has to decide."""
    STRANGER = "stranger"
    """Something else has the name, and may keep rows: a person has to decide."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An object that is not as the schema has it; `str()` is a line for people."""

    thing: SchemaObject
    fault: Fault
    detail: str = ""
    columns: tuple[str, ...] = ()
    place: str = ""
    """The server that has it so, or the database, where there are several."""

    @property
    def loses_rows(self) -> bool:
        """Return whether an insert could be acknowledged with rows or values left out."""
        return self.thing.kind is not Kind.VIEW and self.fault is not Fault.RETENTION

    @property
    def fact(self) -> str:
        """Return how it differs: the rest of a sentence about it."""
        match self.fault:
            case Fault.MISSING:
                return "is not there, or CLICKHOUSE_USER may not see it"
            case Fault.COLUMNS:
                return f"has no column {', '.join(self.columns)}"
            case _:
                return self.detail

    def __str__(self) -> str:
        first = "rename it, then " if self.fault is Fault.STRANGER else ""
        if self.fault is Fault.SHARDS:
            first = "set CLICKHOUSE_DATABASE to another name, fill it from Kafka, and "
        where = f" of {self.place}" if self.place else ""
        return f"the {self.thing}{where} {self.fact}: {first}run `routee-sinks schema`"


@dataclass(frozen=True, slots=True)
class _Found:
    """A table or view of the database."""

    engine: str
    statement: str
    select: str
    views: Sequence[str]
    """The materialized views that take inserted rows from it, as `database.view`."""
    columns: Sequence[str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A database beside the schema."""

    differences: tuple[Difference, ...] = ()
    """Objects that it lacks or has in another form, in the order in which they are made."""
    other_views: tuple[str, ...] = ()
    """Materialized views of others that take rows from tables of the schema: ClickHouse counts their rows, too."""


def compare(clickhouse: ClickHouse, objects: Objects) -> Comparison:
    """Compare the database of the connection with the objects; on shards, that of each server that answers."""
    database = str(clickhouse.value("SELECT currentDatabase()"))
    servers = _of_servers(clickhouse, database) if clickhouse.shards else {"": _found(clickhouse)}
    selects = selects_of(clickhouse, objects)
    differences = tuple(
        replace(difference, place=server)
        for thing in objects.values()
        for server, found in servers.items()
        if (difference := _difference(thing, found.get(thing.name), selects.get(thing.name), database))
    )
    views = {view for found in servers.values() for name in objects.keys() & found.keys() for view in found[name].views}
    return Comparison(differences, tuple(sorted(views - {f"{database}.{name}" for name in objects})))


def _found(clickhouse: ClickHouse) -> Mapping[str, _Found]:
    tables = clickhouse.rows(
        "SELECT name, engine, create_table_query, as_select, "
        "arrayMap((database, view) -> database || '.' || view, dependencies_database, dependencies_table) "
        "FROM system.tables WHERE database = currentDatabase()"
    )
    columns = dict(
        clickhouse.rows(
            "SELECT table, groupArray(name) FROM system.columns WHERE database = currentDatabase() GROUP BY table"
        )
    )
    return {
        name: _Found(engine, statement, select, views, columns.get(name, ()))
        for name, engine, statement, select, views in tables
    }


def _of_servers(clickhouse: ClickHouse, database: str) -> Mapping[str, Mapping[str, _Found]]:
    """Return server → table or view, of the servers of all shards; one that does not answer is left out."""
    found: dict[str, dict[str, _Found]] = {server: {} for server, _ in _asked(clickhouse, "one", "dummy", "true")}
    columns: dict[tuple[str, str], list[str]] = {}
    for server, table, name in _asked(clickhouse, "columns", "table, name", f"database = '{database}'"):
        columns.setdefault((server, table), []).append(name)
    views = "arrayMap((one, view) -> one || '.' || view, dependencies_database, dependencies_table)"
    told = f"name, engine, create_table_query, as_select, {views}"
    for server, name, *rest in _asked(clickhouse, "tables", told, f"database = '{database}'"):
        engine, statement, select, passages = rest
        columns_there = columns.get((server, name), ())
        found.setdefault(server, {})[name] = _Found(engine, statement, select, passages, columns_there)
    return found


def _asked(clickhouse: ClickHouse, system_table: str, columns: str, condition: str) -> list[tuple[Any, ...]]:
    """Return rows of a system table of all servers, each behind the name of its server."""
    cluster = clickhouse.shards.cluster if clickhouse.shards else ""
    return clickhouse.rows(
        f"SELECT concat('server ', toString(shardNum()), ', ', hostName()), {columns} "  # noqa: S608 - our own words
        f"FROM clusterAllReplicas('{cluster}', system.{system_table}) WHERE {condition} "
        "SETTINGS skip_unavailable_shards = 1"
    )


def selects_of(clickhouse: ClickHouse, objects: Objects) -> Mapping[str, str]:
    """Return the query of each view in the form in which this server shows queries."""
    views = {thing.name: thing.select for thing in objects.values() if thing.select}
    if not views:
        return {}
    rendered = (render(select, None, clickhouse.time_zone) for select in views.values())
    literals = ", ".join(f"'{select.translate(_ESCAPES)}'" for select in rendered)
    shown = clickhouse.rows(f"SELECT formatQuerySingleLine(arrayJoin([{literals}]))")
    return {name: select for name, (select,) in zip(views, shown, strict=True)}


def _difference(thing: SchemaObject, found: _Found | None, select: str | None, database: str) -> Difference | None:
    if found is None:
        return Difference(thing, Fault.MISSING)
    if thing.kind is Kind.TABLE:
        return _difference_of_table(thing, found)
    return next(_differences_of_view(thing, found, select, database), None)


def _difference_of_table(thing: SchemaObject, found: _Found) -> Difference | None:
    # `Replicated` on a cluster, `Shared` in ClickHouse's cloud; the engine Null has no such form.
    if not found.engine.endswith(thing.engine):
        return Difference(thing, Fault.STRANGER, f"has the engine {found.engine} in place of {thing.engine}")
    lacking = tuple(name for name in thing.columns if name not in found.columns)
    return Difference(thing, Fault.COLUMNS, columns=lacking) if lacking else None


def _differences_of_view(thing: SchemaObject, found: _Found, select: str | None, database: str) -> Iterator[Difference]:
    plain_view = found.engine == "View"  # one that can be replaced: it keeps no rows
    if found.engine != _ENGINE_OF[thing.kind]:
        fault = Fault.DEFINITION if plain_view else Fault.STRANGER
        yield Difference(thing, fault, f"is a {found.engine}")
    # A user who may not see definitions gets none.
    if thing.kind is Kind.PASSAGE and found.statement and not plain_view:
        target = _TARGET.match(found.statement)
        if target is None:
            yield Difference(thing, Fault.STRANGER, "keeps rows of its own")
        elif _REFRESHED.match(found.statement):
            yield Difference(thing, Fault.DEFINITION, "is filled now and then in place of by inserts")
        elif without(database, target[1]) != thing.target:
            yield Difference(thing, Fault.DEFINITION, f"fills {target[1]} in place of {thing.target}")
    if select and found.select and without(database, found.select) != without(database, select):
        yield Difference(thing, Fault.DEFINITION, "has another query than in the schema")


def without(database: str, query: str) -> str:
    """Return a query or a name without the database that the server puts before names."""
    return re.sub(rf"(?<![\w.`])`?{database}`?\.", "", query).replace("`", "")
