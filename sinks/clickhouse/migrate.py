"""
The schema in a database: its files applied, its objects mended, and both verified.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from graphlib import TopologicalSorter
from typing import Final

from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.differences import Comparison, Difference, Fault, compare
from sinks.clickhouse.migrations import Migration, known_migrations, outstanding, render
from sinks.clickhouse.objects import Kind, Objects, objects_of
from sinks.clickhouse.shards import differences_above, require_room, spread
from sinks.errors import FatalError, RetryableError, SchemaError

logger = logging.getLogger(__name__)

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


def create_database(clickhouse: ClickHouse, database: str, cluster: str | None) -> None:
    """Create the database if it is missing. The connection may be to another database."""
    clickhouse.execute(render(f"CREATE DATABASE IF NOT EXISTS `{database}` {{{{on_cluster}}}}", cluster))


def require_time_zone(clickhouse: ClickHouse) -> None:
    """Raise SchemaError when the server does not know the zone of days and hours."""
    if problems := _time_zone_problems(clickhouse):
        raise SchemaError(*problems)


def _time_zone_problems(clickhouse: ClickHouse) -> list[str]:
    zone = clickhouse.time_zone
    if clickhouse.value("SELECT count() FROM system.time_zones WHERE time_zone = {zone:String}", {"zone": zone}):
        return []
    return [f"CLICKHOUSE_TIME_ZONE={zone}: ClickHouse has no such time zone"]


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
        for statement in migration.statements(cluster, clickhouse.time_zone):
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
    described = {text for migration in due for text in migration.describes}
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


def mend(clickhouse: ClickHouse, cluster: str | None) -> list[str]:
    """
    Make again what the applied files have made and the database lacks; return the tables that may lack rows.

    A detached object is attached again, with its rows. Another thing with the name of an object stays as it is.
    """
    if clickhouse.shards:
        require_room(clickhouse, objects_of(known_migrations()))
    _attached(clickhouse, cluster, "schema_migrations")
    # An object that an interrupted run has brought into its newest form is no damage: it must not go back.
    unfinished = {it.thing.name for it in compare(clickhouse, objects_of(known_migrations())).differences}
    found = [
        it
        for it in compare(clickhouse, _objects_of_applied(clickhouse)).differences
        if it.fault is not Fault.STRANGER and it.thing.name in unfinished
    ]
    return [table for it in _as_they_need_each_other(found) for table in _mended(clickhouse, cluster, it)]


def _as_they_need_each_other(differences: Sequence[Difference]) -> list[Difference]:
    """Return each difference behind those of the objects that it needs: a later file may have made one anew."""
    by_name = {it.thing.name: it for it in differences}
    needs = {name: it.thing.needs & by_name.keys() for name, it in by_name.items()}
    return [by_name[name] for name in TopologicalSorter(needs).static_order()]


def _mended(clickhouse: ClickHouse, cluster: str | None, difference: Difference) -> Iterator[str]:
    """Mend one object; yield the table that may lack rows by it."""
    thing = difference.thing
    is_attached = difference.fault is Fault.MISSING and _attached(clickhouse, cluster, thing.name)
    # Another server may have had none to attach; where it is there, it is not made again.
    if is_attached and clickhouse.shards is None:
        logger.warning("the %s was detached and is attached again", thing)
        return
    for statement in _statements(difference):
        clickhouse.execute(render(statement, cluster, clickhouse.time_zone))
    logger.warning("the %s is made again%s", thing, f": {', '.join(difference.columns)}" if difference.columns else "")
    if thing.kind is Kind.PASSAGE:
        yield thing.target
    elif thing.keeps_rows:
        yield thing.name


def _statements(difference: Difference) -> Sequence[str]:
    thing = difference.thing
    if difference.fault is Fault.COLUMNS:
        added = ", ".join(f"ADD COLUMN IF NOT EXISTS {thing.columns[name]}" for name in difference.columns)
        return (f"ALTER TABLE {thing.name} {{{{on_cluster}}}} {added}",)
    if thing.kind is Kind.PASSAGE:
        return (f"DROP VIEW IF EXISTS {thing.name} {{{{on_cluster}}}}", *thing.statements)
    return thing.statements


def _attached(clickhouse: ClickHouse, cluster: str | None, name: str) -> bool:
    """Attach a table or a view if it was detached, and return whether it is there now."""
    # Servers have several codes for a name that they do not know.
    with suppress(RetryableError, FatalError):
        clickhouse.execute(render(f"ATTACH TABLE IF NOT EXISTS {name} {{{{on_cluster}}}}", cluster))
    return bool(clickhouse.value(f"EXISTS TABLE {name}"))


def look(clickhouse: ClickHouse) -> Comparison:
    """
    Compare the database with the files that were applied to it; on shards, also the one above them.

    SchemaError as in `outstanding`: files that this version does not know, or in another form, are not judged.
    """
    objects = _objects_of_applied(clickhouse)
    found = compare(clickhouse, objects)
    if clickhouse.shards is None or not objects:
        return found
    return replace(found, differences=found.differences + differences_above(clickhouse, objects))


def spread_over_shards(clickhouse: ClickHouse, above: ClickHouse) -> list[str]:
    """Make the tables and views above the shards that are missing or differ, as `spread` does; return their names."""
    return spread(clickhouse, above, _objects_of_applied(clickhouse))


def _objects_of_applied(clickhouse: ClickHouse) -> Objects:
    known = known_migrations()
    due = outstanding(known, _applied(clickhouse))
    return objects_of(it for it in known if it not in due)


def verify_way_of_rows(clickhouse: ClickHouse) -> None:
    """Raise SchemaError when a file was not applied, or an object differs by which inserted rows would be lost."""
    verify_applied(clickhouse)
    if losses := [str(it) for it in look(clickhouse).differences if it.loses_rows]:
        raise SchemaError("\n".join(losses))


def verify_applied(clickhouse: ClickHouse) -> None:
    """Raise SchemaError unless all files of this version were applied, and none that it does not know."""
    if due := outstanding(known_migrations(), _applied(clickhouse)):
        raise SchemaError(f"the database lacks {', '.join(m.name for m in due)}: run `routee-sinks schema`")


def verify(clickhouse: ClickHouse) -> None:
    """Raise SchemaError, with a line for each problem, unless the database has the whole schema of this version."""
    # No view is as it should be in a zone that there is not.
    problems = _time_zone_problems(clickhouse) or [str(it) for it in look(clickhouse).differences]
    try:
        verify_applied(clickhouse)
    except SchemaError as error:
        problems.insert(0, str(error))
    if problems:
        raise SchemaError("\n".join(problems))


def _applied(clickhouse: ClickHouse) -> list[tuple[int, str]]:
    """Return version and checksum of the applied files; none when the database has no list of them."""
    if not clickhouse.value("EXISTS TABLE schema_migrations"):
        return []
    if clickhouse.shards is None:
        _require_one_server(clickhouse)
    return [(row[0], row[1]) for row in clickhouse.rows(f"SELECT version, checksum FROM {_ledger_of(clickhouse)}")]  # noqa: S608 - our own words


def _require_one_server(clickhouse: ClickHouse) -> None:
    engine = "SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'"
    if clickhouse.rows(engine) == [("Distributed",)]:
        raise SchemaError("the rows of the database are spread over shards: set CLICKHOUSE_SHARDED=yes")


def _ledger_of(clickhouse: ClickHouse) -> str:
    if (shards := clickhouse.shards) is None:
        return "schema_migrations FINAL"
    # The server that answered to `schema` has noted the files on its own shard.
    return f"cluster('{shards.cluster}', {shards.tables}, schema_migrations)"
