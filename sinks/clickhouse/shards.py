"""
ClickHouse in several shards: each keeps a part of the rows, and one database above them has all.

The files of the schema are applied on every shard as they are, to a database of its own. The database that sinks insert
into and people query keeps no row. It has the same names: a `Distributed` table for each table, and for each view that
a shard can answer alone; the other views as the files make them, above these tables.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from graphlib import TopologicalSorter
from typing import Final

from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.differences import Difference, Fault, selects_of, without
from sinks.clickhouse.migrations import render
from sinks.clickhouse.objects import Kind, Objects, SchemaObject
from sinks.errors import SchemaError
from sinks.settings import Shards

KEYS: Final[Mapping[str, str]] = {
    # All parts of a message, and so all revisions of each.
    "sms_inbox": "cityHash64(message_id)",
    "campaign_inbox": "cityHash64(campaign_tracking_id)",
    "delivery_inbox": "cityHash64(cell)",
    "alarm_inbox": "cityHash64(alarm)",
    # As `origin_offset`: where the callback lies, which a replay does not change.
    "rejected_callbacks": "cityHash64(ifNull(offset, topic_offset))",
}
"""Inbox → the expression that tells the shard of a row: rows that replace each other have it in common."""

LEDGER: Final = "schema_migrations"
_DISTRIBUTED: Final = "Distributed"
_JOINS: Final = ("JOIN", "IN (SELECT")
# The rows of a subquery may be on other shards than the rows that are held against them.
_OF_ALL_SHARDS: Final = "SETTINGS distributed_product_mode = 'global'"
_COMMENT: Final = "\nCOMMENT '"

_Columns = Mapping[tuple[str, str], set[tuple[str, str, str]]]
"""(Database, table) → name, type and kind of default of each column."""


def spread(clickhouse: ClickHouse, above_shards: ClickHouse, objects: Objects) -> list[str]:
    """
    Make the tables and views above the shards that are missing or differ, and return their names; no row is touched.

    The connections are to the database of a shard, and to that above. SchemaError as in `require_room`.
    """
    differences = differences_above(clickhouse, objects)
    _require_room(differences)
    for difference in differences:
        for statement in difference.thing.statements:
            above_shards.execute(render(statement, _shards(clickhouse).cluster, clickhouse.time_zone))
    return [it.thing.name for it in differences]


def require_room(clickhouse: ClickHouse, objects: Objects) -> None:
    """Raise SchemaError when rows lie elsewhere than new revisions of them would go."""
    _require_room(differences_above(clickhouse, objects))


def _require_room(differences: Iterable[Difference]) -> None:
    if misplaced := [str(it) for it in differences if it.fault is Fault.SHARDS]:
        raise SchemaError("\n".join(misplaced))


def differences_above(clickhouse: ClickHouse, objects: Objects) -> tuple[Difference, ...]:
    """Return the objects above the shards that are missing or differ, each behind all that it needs."""
    shards = _shards(clickhouse)
    count = f"SELECT uniqExact(shardNum()) FROM cluster('{shards.cluster}', system.one)"  # noqa: S608 - a checked name
    number = int(clickhouse.value(count))
    wanted = above(objects, shards, number)
    selects, columns = selects_of(clickhouse, wanted), _columns(clickhouse, shards)
    found = {
        name: rest
        for name, *rest in clickhouse.rows(
            "SELECT name, engine, engine_full, as_select, comment FROM system.tables WHERE database = {above:String}",
            {"above": shards.database},
        )
    }
    return tuple(
        Difference(thing, *fault, place=shards.database)
        for name, thing in wanted.items()
        if (fault := next(_faults(thing, found.get(name), selects.get(name, ""), columns, shards), None))
    )


def above(objects: Objects, shards: Shards, number: int) -> Objects:
    """Return the objects above so many shards, each behind all that it needs."""
    made = {LEDGER: _distributed(LEDGER, shards, number)}
    for thing in objects.values():
        if thing.kind is Kind.TABLE or _is_answered_by_each_shard(thing):
            made[thing.name] = _distributed(thing.name, shards, number)
        elif thing.kind is Kind.VIEW:
            made[thing.name] = _over_all_shards(thing)
    needs = {name: it.needs & made.keys() for name, it in made.items()}
    return {name: made[name] for name in TopologicalSorter(needs).static_order()}


def _is_answered_by_each_shard(thing: SchemaObject) -> bool:
    """Return whether a view has rows of single keys. One with parameters cannot be asked from another server."""
    return thing.kind is Kind.VIEW and " FINAL" in thing.select and "{" not in thing.select.replace("{{", "")


def _distributed(name: str, shards: Shards, number: int) -> SchemaObject:
    key = f", {KEYS[name]}" if name in KEYS else ""  # without a key nothing can be inserted
    engine = f"{_DISTRIBUTED}('{shards.cluster}', '{shards.tables}', '{name}'{key})"
    statement = (
        f"CREATE OR REPLACE TABLE {name} {{{{on_cluster}}}} AS {shards.tables}.{name} "
        f"ENGINE = {engine} COMMENT '{_spread_over(number)}'"
    )
    kind = Kind.TABLE if name in KEYS else Kind.VIEW  # the others are for people
    return SchemaObject(name, kind, (statement,), engine, {}, "", "")


def _spread_over(number: int) -> str:
    return f"spread over {number} shards"


def _over_all_shards(view: SchemaObject) -> SchemaObject:
    if not any(join in view.select for join in _JOINS):
        return view
    query, comment, words = view.statements[-1].rpartition(_COMMENT)
    statement = f"{query}\n{_OF_ALL_SHARDS}{comment}{words}"
    return replace(view, statements=(statement,), select=f"{view.select} {_OF_ALL_SHARDS}")


def _faults(
    thing: SchemaObject, found: Sequence[str] | None, select: str, columns: _Columns, shards: Shards
) -> Iterator[tuple[Fault, str]]:
    """Yield the ways in which an object above the shards differs, the worst first."""
    if found is None:
        yield Fault.MISSING, ""
        return
    engine, engine_full, as_select, comment = found
    if engine not in {_DISTRIBUTED, "View"}:
        yield Fault.SHARDS, f"keeps rows of one server, as a {engine}"
    if engine != (_DISTRIBUTED if thing.engine else "View"):
        yield Fault.DEFINITION, f"is a {engine}"
    if thing.name in KEYS and comment not in thing.statements[0]:
        yield Fault.SHARDS, f"is {comment}, and the cluster {shards.cluster} has another number"
    if thing.engine and _bare(engine_full) != _bare(thing.engine):
        yield Fault.DEFINITION, f"is {engine_full} in place of {thing.engine}"
    there, of_shards = (columns.get((database, thing.name)) for database in (shards.database, shards.tables))
    if thing.engine and there != of_shards:
        yield Fault.DEFINITION, "has other columns than on the shards"
    if as_select and without(shards.database, as_select) != without(shards.database, select):
        yield Fault.DEFINITION, "has another query than in the schema"


def _columns(clickhouse: ClickHouse, shards: Shards) -> _Columns:
    columns: dict[tuple[str, str], set[tuple[str, str, str]]] = {}
    for database, table, *column in clickhouse.rows(
        "SELECT if(database = {above:String}, database, {tables:String}), table, name, type, default_kind "
        "FROM system.columns WHERE database IN ({above:String}, currentDatabase())",
        {"above": shards.database, "tables": shards.tables},
    ):
        name, type_, default = column
        columns.setdefault((database, table), set()).add((name, type_, default))
    return columns


def _bare(engine: str) -> str:
    return engine.replace("`", "").replace(" ", "")


def _shards(clickhouse: ClickHouse) -> Shards:
    if clickhouse.shards is None:
        raise ValueError("this database is not spread over shards")
    return clickhouse.shards
