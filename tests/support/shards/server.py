"""
Two shards as a child process.
"""

import os
import sys
from pathlib import Path

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.process import Process


class ShardedServer(ClickHouseServer):
    """A ClickHouse whose cluster `two` has two shards."""

    def __init__(self, folder: Path, port: int, password: str) -> None:
        super().__init__(folder, port, password=password)
        command = (sys.executable, "-m", "tests.support.shards", str(port), str(folder.absolute() / "data"))
        told = {**os.environ, "CLICKHOUSE_PASSWORD": password}
        self.process = Process("clickhouse-shards", command, folder / "shards.log", told)
