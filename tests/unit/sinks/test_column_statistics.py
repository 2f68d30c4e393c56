"""Tables of the schema have no statistics of columns, unless their owner has set which, or the server has none."""

from typing import TYPE_CHECKING, cast

import pytest

from sinks.clickhouse.answer import error_of
from sinks.clickhouse.column_statistics import leave_out_statistics
from sinks.errors import OldServerError

if TYPE_CHECKING:
    from sinks.clickhouse.client import ClickHouse

PLAIN = "ReplacingMergeTree(version) ORDER BY message_id SETTINGS index_granularity = 8192"


class Server:
    """Has tables with engines, and notes the statements."""

    def __init__(self, tables: dict[str, str], version: str = "26.4.1.1", *, others_know: bool = True) -> None:
        self.executed: list[str] = []
        self._tables = tables
        self._version = version
        self._others_know = others_know

    def value(self, sql: str) -> str:
        assert sql == "SELECT version()", "of other tables of the system, a user may have to be granted the reading"
        return self._version

    def rows(self, sql: str) -> list[tuple[str, str]]:
        assert "engine_full" in sql
        return [*self._tables.items()]

    def execute(self, sql: str) -> None:
        self.executed.append(sql)
        if not self._others_know:
            raise error_of(115, "There was an error on [clickhouse-2:9000]")


def changed(server: Server, cluster: str | None = None) -> list[str]:
    return leave_out_statistics(cast("ClickHouse", server), cluster)


def test_a_table_that_keeps_rows_gets_the_setting() -> None:
    server = Server({"message_status": PLAIN, "sms_inbox": "Null", "sms": ""})
    assert changed(server) == ["message_status"]
    assert server.executed == ["ALTER TABLE message_status  MODIFY SETTING auto_statistics_types = ''"]


def test_on_a_cluster_each_server_gets_it() -> None:
    server = Server({"message_status": PLAIN})
    changed(server, "main")
    assert "ON CLUSTER 'main'" in server.executed[0]


def test_an_older_server_of_the_cluster_is_told_once_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    server = Server({"message_status": PLAIN, "sms_status": PLAIN}, others_know=False)
    assert changed(server, "main") == ["message_status", "sms_status"]
    assert len(server.executed) == 2, "the other servers take it"
    (told,) = caplog.records
    assert told.message.startswith("a server of the cluster is older than 26.4: it does not know auto_statistics_types")
    assert vars(told)["tables"] == "message_status, sms_status"
    with pytest.raises(OldServerError):
        changed(server)


def test_a_setting_of_the_owner_and_a_table_of_others_stay() -> None:
    assert changed(Server({"message_status": f"{PLAIN}, auto_statistics_types = 'basic'", "theirs": PLAIN})) == []


@pytest.mark.parametrize(
    ("version", "tables"),
    [
        ("25.8.16.34", []),
        ("26.3.9.8.altinitystable", []),
        ("26.4.1.1", ["message_status"]),
        ("26.10.1", ["message_status"]),
        ("27.1.1.1", ["message_status"]),
    ],
)
def test_an_older_server_makes_none_and_may_not_know_the_setting(version: str, tables: list[str]) -> None:
    server = Server({"message_status": PLAIN}, version)
    assert changed(server) == tables
    assert len(server.executed) == len(tables)
