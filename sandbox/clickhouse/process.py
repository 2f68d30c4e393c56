"""
The ClickHouse stand-in as a child process.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from sandbox.ports import LOOPBACK, require_free
from sandbox.probes import answers_ok
from sandbox.process import Process
from streams.program.secret_files import without_files

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 4.0
_KEPT_BYTES: Final = 256 << 20


class ClickHouseServer:
    """
    A ClickHouse on the loopback interface with one user and one data folder, as a child process.

    Started again in the same folder it has every row whose INSERT was answered, even after a kill. Its log goes to
    `logs`, else beside the data. As a context manager it runs within the block.
    """

    def __init__(
        self, folder: Path, port: int, user: str = "default", password: str = "", logs: Path | None = None
    ) -> None:
        self.url = f"http://{LOOPBACK}:{port}"
        self.user = user
        self.password = password
        self._port = port
        command = (
            "-m",
            "sandbox.clickhouse",
            "--host",
            LOOPBACK,
            "--port",
            str(port),
            "--path",
            str(folder.absolute() / "data"),
        )
        self.process = Process(
            "clickhouse", (sys.executable, *command), (logs or folder) / "clickhouse.log", _environment(user, password)
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Return when queries are answered; PortTakenError, or StartError with the end of the log."""
        require_free({"SANDBOX_CLICKHOUSE_PORT": self._port})
        try:
            self.launch()
            self.wait_ready()
        except BaseException:  # an interrupt too leaves nothing running
            self.stop()
            raise

    def launch(self) -> None:
        """Start the process without waiting for it."""
        self.process.start()

    def wait_ready(self) -> None:
        """Return when queries are answered; StartError with the end of the log otherwise."""
        self.process.wait_until(lambda: answers_ok(f"{self.url}/ping"), _START_SECONDS)

    def stop(self) -> None:
        """Stop the process within a few seconds."""
        self.process.stop(_STOP_SECONDS)


def _environment(user: str, password: str) -> Mapping[str, str]:
    told = {"CLICKHOUSE_USER": user, "CLICKHOUSE_PASSWORD": password}
    # glibc would give the memory of each large body back: getting it again was half of the work of taking a body.
    memory = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(_KEPT_BYTES))
    return {**memory, **os.environ, **told, **without_files(["CLICKHOUSE_PASSWORD"])}
