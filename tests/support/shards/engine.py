"""
One engine that is both shards of a cluster.
"""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from chdb import ChdbError

from sandbox.clickhouse.engine import Engine, Result
from sandbox.clickhouse.errors import ClickHouseError
from sandbox.clickhouse.protocol import Query
from sinks.clickhouse.client import INSERT_SETTINGS
from tests.support.shards.native import Columns, answer

CLUSTER: Final = "two"
SHARDS: Final = (1, 2)
_REPLICA: Final = (
    "<shard><replica><host>127.0.0.1</host><port>{port}</port><user>{number}</user>"
    "<compression>true</compression></replica></shard>"
)
_ON_CLUSTER: Final = f"ON CLUSTER '{CLUSTER}'"
_DATABASE: Final = re.compile(r"CREATE DATABASE IF NOT EXISTS `(\w+_shard)`")
_READ: Final = re.compile(rf"\b(?:AS (\w+_shard)\.(\w+) ENGINE|cluster\('{CLUSTER}', (\w+_shard), (\w+)\))")
_MUTATED: Final = re.compile(r"ALTER TABLE (\w+_shard)\.")
_INSERT: Final = re.compile(r"INSERT INTO `?(\w+)`?\.`?(\w+)`? (\(.*\)) VALUES", re.DOTALL)


class TwoShards(Engine):
    """The engine; a database whose name ends with `_shard` is there twice."""

    def __init__(self, folder: Path) -> None:
        self._receiver = socket.create_server(("127.0.0.1", 0))
        self._filters: dict[str, str] = {}
        super().__init__(folder)
        threading.Thread(target=self._receive, daemon=True).start()

    def _configuration(self) -> str:
        port = self._receiver.getsockname()[1]
        shards = "".join(_REPLICA.format(port=port, number=number) for number in SHARDS)
        # By its own port the engine knows a shard as itself.
        return f"<tcp_port>{port}</tcp_port><remote_servers><{CLUSTER}>{shards}</{CLUSTER}></remote_servers>"

    def run(self, query: Query) -> Result:
        """Run the query to its end; on the cluster, on both shards."""
        for database, table in _mentioned(query.statement.sql):
            self._read_both(database, table)
        if _ON_CLUSTER in query.statement.sql:
            return self._run_on_cluster(query)
        # The server of the first shard is the one that answers.
        of_shard = query.database is not None and query.database.endswith("_shard")
        here = f"{query.database}_1" if of_shard else query.database
        return super().run(replace(query, database=here, settings=self._with_filters(query)))

    def _with_filters(self, query: Query) -> dict[str, str]:
        filters = ", ".join(f"'{table}': '{condition}'" for table, condition in self._filters.items())
        return {**query.settings, "additional_table_filters": f"{{{filters}}}"}

    def _run_on_cluster(self, query: Query) -> Result:
        sql = query.statement.sql.replace(_ON_CLUSTER, "").replace("= Replicated", "= ")
        if created := _DATABASE.match(sql):
            for number in SHARDS:
                self._run(query, f"CREATE DATABASE IF NOT EXISTS `{created[1]}_{number}`", None)
        elif (query.database or "").endswith("_shard"):
            return [self._run(query, sql, f"{query.database}_{number}") for number in SHARDS][-1]
        elif found := _MUTATED.match(sql):
            of_shards = [sql.replace(f"{found[1]}.", f"{found[1]}_{number}.", 1) for number in SHARDS]
            return [self._run(query, one, query.database) for one in of_shards][-1]
        return self._run(query, sql, query.database)

    def _run(self, query: Query, sql: str, database: str | None) -> Result:
        return super().run(replace(query, statement=replace(query.statement, sql=sql), database=database))

    def _read_both(self, database: str, table: str) -> None:
        engine = f"Merge(REGEXP('^{database}_[12]$'), '^{table}$')"
        try:
            self._root.query(f"CREATE OR REPLACE TABLE {database}.{table} AS {database}_1.{table} ENGINE = {engine}")
        except (ChdbError, RuntimeError) as error:
            raise ClickHouseError(str(error)) from error
        self._filters[f"{database}.{table}"] = rf"_database = concat(\'{database}_\', toString(shardNum()))"

    def _receive(self) -> None:
        while True:
            connection, _ = self._receiver.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with closing(connection), suppress(ConnectionError, EOFError):
            answer(connection, self._columns_of, self._insert_block)

    def _columns_of(self, user: str, statement: str) -> Columns:
        database, table, _ = _target(user, statement)
        told = self._ask(
            f"SELECT name, type FROM system.columns WHERE database = '{database}' AND table = '{table}' "  # noqa: S608 - ours
            "AND default_kind != 'MATERIALIZED' ORDER BY position FORMAT TSVRaw"
        )
        return [(name, kind) for name, _, kind in (line.partition("\t") for line in told.splitlines())]

    def _insert_block(self, user: str, statement: str, settings: dict[str, str], block: bytes) -> None:
        database, table, columns = _target(user, statement)
        known = ", ".join(f"{name} = '{value}'" for name, value in settings.items() if name in INSERT_SETTINGS)
        with NamedTemporaryFile() as file, closing(self._connect()) as connection:
            file.write(block)
            file.flush()
            sql = f"INSERT INTO {database}.{table} {columns} FROM INFILE '{file.name}'"
            try:
                connection.query(f"{sql} {'SETTINGS ' + known if known else ''} FORMAT Native")
            except (ChdbError, RuntimeError) as error:
                raise ClickHouseError(str(error)) from error


def _mentioned(sql: str) -> Iterator[tuple[str, str]]:
    """Yield database and table of the shards that a statement reads by the cluster."""
    for found in _READ.finditer(sql):
        yield found[1] or found[3], found[2] or found[4]


def _target(user: str, statement: str) -> tuple[str, str, str]:
    """Return database, table and columns of an insert; the user is the number of the shard."""
    found = _INSERT.match(statement)
    if found is None:
        raise NotImplementedError(f"only inserts with columns are received: {statement[:60]}")
    return f"{found[1]}_{user}", found[2], found[3]
