"""Tables of the schema have no statistics of columns, unless their owner has set which, or the server has none."""

from typing import TYPE_CHECKING, cast

from sinks.clickhouse.column_statistics import leave_out_statistics

if TYPE_CHECKING:
    from sinks.clickhouse.client import ClickHouse

PLAIN = "ReplacingMergeTree(version) ORDER BY message_id SETTINGS index_granularity = 8192"


class Server:
    """Has tables with engines, and notes the statements."""

    def __init__(self, tables: dict[str, str], *, knows: bool = True) -> None:
        self.executed: list[str] = []
        self._tables = tables
        self._knows = knows

    def value(self, sql: str) -> int:
        assert "merge_tree_settings" in sql
        return int(self._knows)

    def rows(self, sql: str) -> list[tuple[str, str]]:
        assert "engine_full" in sql
        return [*self._tables.items()]

    def execute(self, sql: str) -> None:
        self.executed.append(sql)


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


def test_a_setting_of_the_owner_and_a_table_of_others_stay() -> None:
    assert changed(Server({"message_status": f"{PLAIN}, auto_statistics_types = 'basic'", "theirs": PLAIN})) == []


def test_a_server_that_does_not_know_the_setting_is_asked_nothing() -> None:
    server = Server({"message_status": PLAIN}, knows=False)
    assert changed(server) == []
    assert server.executed == []
