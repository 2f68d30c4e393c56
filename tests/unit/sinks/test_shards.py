"""
The tables and views above the shards of ClickHouse, and the look at each server of them.
"""

from typing import TYPE_CHECKING, Any, cast

import pytest

from sinks.clickhouse.client import INSERT_SETTINGS, SHARDED_INSERT_SETTINGS
from sinks.clickhouse.differences import compare
from sinks.clickhouse.migrations import known_migrations
from sinks.clickhouse.objects import Kind, objects_of
from sinks.clickhouse.shards import KEYS, above
from sinks.clickhouse.sink import INBOX_OF
from sinks.settings import Shards, SinksSettings

if TYPE_CHECKING:
    from sinks.clickhouse.client import ClickHouse

SHARDS = Shards("main", "routee", "routee_shard")
OBJECTS = objects_of(known_migrations())
ABOVE = above(OBJECTS, SHARDS, 3)
ONE_SHARD_ANSWERS = {
    *("sms", "sms_history", "messages", "missing_parts", "campaigns", "campaign_history"),
    *("delivery_cells", "alarms", "alarm_history", "rejections"),
}


def test_only_both_settings_together_mean_shards() -> None:
    assert SinksSettings(clickhouse_cluster="main").shards is None
    assert SinksSettings(clickhouse_cluster="main").tables_database == "routee"
    assert SinksSettings(clickhouse_cluster="main", clickhouse_sharded="yes").shards == SHARDS
    assert SinksSettings(clickhouse_cluster="main", clickhouse_sharded="yes").tables_database == "routee_shard"


def test_every_table_and_view_is_there_above_the_shards() -> None:
    passages = {name for name, it in OBJECTS.items() if it.kind is Kind.PASSAGE}
    assert ABOVE.keys() == OBJECTS.keys() - passages | {"schema_migrations"}


def test_a_view_of_single_keys_is_answered_by_each_shard_and_any_other_by_all_together() -> None:
    views = {name for name, it in OBJECTS.items() if it.kind is Kind.VIEW}
    assert {name for name in views if ABOVE[name].engine} == ONE_SHARD_ANSWERS


def test_an_inbox_has_the_key_that_tells_the_shard_and_no_other_table_can_be_inserted_into() -> None:
    assert KEYS.keys() == set(INBOX_OF.values())
    for name, thing in ABOVE.items():
        if thing.engine:
            key = f", {KEYS[name]}" if name in KEYS else ""
            assert thing.engine == f"Distributed('main', 'routee_shard', '{name}'{key})"


def test_a_view_with_a_subquery_reads_all_shards_in_it() -> None:
    joined = {name for name, it in ABOVE.items() if "distributed_product_mode = 'global'" in it.statements[-1]}
    assert joined == {"campaign_curve", "lost_callbacks", "backfill_deadline"}
    for name in joined:
        assert ABOVE[name].select.endswith(" SETTINGS distributed_product_mode = 'global'")
        assert "= 'global'\nCOMMENT '" in ABOVE[name].statements[-1]


def test_each_object_is_made_behind_all_that_it_reads() -> None:
    made: set[str] = set()
    for name, thing in ABOVE.items():
        assert thing.needs & ABOVE.keys() <= made
        made.add(name)


def test_an_insert_waits_for_the_shards() -> None:
    assert SHARDED_INSERT_SETTINGS.items() - INSERT_SETTINGS.items() == {
        ("distributed_foreground_insert", "1"),
        ("prefer_localhost_replica", "0"),
    }


def test_no_newer_file_of_the_schema_fills_tables() -> None:
    """On shards it would fill those of one server only."""
    filling = {it.name for it in known_migrations() if any(part.startswith("INSERT INTO") for part in it.parts)}
    assert filling <= {"0010_newest.sql"}


class Servers:
    """A cluster of servers with some of the objects."""

    shards = SHARDS
    time_zone = "UTC"

    def __init__(self, lacking: dict[str, set[str]]) -> None:
        self._lacking = lacking

    def value(self, _sql: str) -> str:
        return SHARDS.tables

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        if "formatQuerySingleLine" in sql:
            return [("",) for it in OBJECTS.values() if it.select]
        if "system.one" in sql:
            return [(server, 0) for server in self._lacking]
        there = [(server, OBJECTS[name]) for server in self._lacking for name in OBJECTS.keys() - self._lacking[server]]
        if "system.columns" in sql:
            return [(server, thing.name, column) for server, thing in there for column in thing.columns]
        engines = {Kind.VIEW: "View", Kind.PASSAGE: "MaterializedView"}
        return [(server, it.name, engines.get(it.kind, it.engine), "", "", []) for server, it in there]


@pytest.mark.parametrize("lacking", [{"sms_inbox_to_history"}, {"sms_inbox_to_history", "sms_status"}, set(OBJECTS)])
def test_an_object_that_one_of_the_servers_lacks_is_seen(lacking: set[str]) -> None:
    """Also on a server that has nothing, as one that is added to the cluster."""
    clickhouse = cast("ClickHouse", Servers({"server 1, a": set(), "server 2, b": lacking}))
    differences = compare(clickhouse, OBJECTS).differences
    assert {(it.thing.name, it.place) for it in differences} == {(name, "server 2, b") for name in lacking}
    assert any(it.loses_rows for it in differences)
    assert "of server 2, b is not there" in str(differences[0])
