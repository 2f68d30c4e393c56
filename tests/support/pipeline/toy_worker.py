"""
One worker under test as a child process.
"""

import os
import re
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from signal import SIGTERM, Signals
from typing import Any
from urllib.request import urlopen

from sandbox.ports import free_port
from tests.support.endings import tell_ending
from tests.support.forks import FORKS, preload
from tests.support.listening import accepts_connections
from tests.support.pipeline import worker

preload(worker.__name__)

READY_SECONDS = 60.0


class ToyWorker:
    """
    A worker process, its log, and its web port.

    It is forked from a server that has imported everything: that is what takes the time of a start.
    """

    def __init__(self, log: Path, environment: dict[str, str], faults: dict[str, Any]) -> None:
        ports = {"STREAMS_WEB_PORT": str(free_port()), "STREAMS_ADMIN_PORT": str(free_port())}
        environment = {**ports, **environment}
        self.port = int(environment["STREAMS_WEB_PORT"])
        self.admin_port = int(environment["STREAMS_ADMIN_PORT"])
        self._log = log
        self._process = self._started(environment, faults)

    def _started(self, environment: dict[str, str], faults: dict[str, Any]) -> BaseProcess:
        process = FORKS.Process(target=worker.main, args=(str(self._log), environment, faults))
        process.start()
        return process

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid or 0

    @property
    def log(self) -> str:
        """Return what the worker wrote so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def exit_code(self) -> int | None:
        """Return the exit code, None while the process runs."""
        return self._process.exitcode

    def signal(self, number: Signals) -> None:
        """Send a signal to this process and no other."""
        os.kill(self.pid, number)

    def wait(self, deadline: float = READY_SECONDS) -> int:
        """Return the exit code; AssertionError with the log when the process does not end."""
        self._process.join(deadline)
        code = self._process.exitcode
        assert code is not None, f"worker {self.pid} still runs:\n{self.log}"
        return code

    def stop(self, number: Signals = SIGTERM) -> None:
        """Stop it as a person would, and wait until it is gone; AssertionError when that is not a clean end."""
        self.signal(number)
        assert self.wait() == 0, self.log

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self._process.kill()
        self._process.join()

    def tell_ending(self) -> None:
        """Print how the process ended, if it has and was not killed."""
        tell_ending(f"worker {self.pid}", self.exit_code, self._log)

    def require_running(self) -> None:
        """Return while the process runs; RuntimeError with its log otherwise."""
        if self.exit_code is not None:
            raise RuntimeError(f"worker ended with {self.exit_code}:\n{self.log}")

    @property
    def takeovers(self) -> int:
        """Return how often the worker has taken over partitions."""
        return self.log.count("streams: ready (partitions=[")

    @property
    def restored(self) -> list[int]:
        """Return how many records the worker restored each time that it took over partitions."""
        return [int(records) for records in re.findall(r"restored_records=(\d+)", self.log)]

    def metric(self, name: str) -> float | None:
        """Return what its metrics say under a name with its labels, None when they do not say it."""
        with urlopen(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), None)

    def lag_of(self, table: str, partition: int) -> float | None:
        """Return the lag of a partition as its metrics have it, None when they do not name it."""
        return self.metric(f'routee_streams_lag_records{{partition="{partition}",table="{table}"}}')

    def is_ready(self) -> bool:
        """Tell whether the worker said that it works."""
        self.require_running()
        return self.takeovers > 0

    def is_listening(self) -> bool:
        """Tell whether its web port answers."""
        return accepts_connections(self.admin_port)

    def is_frozen(self) -> bool:
        """Tell whether the process is stopped by SIGSTOP."""
        state = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state == "T"


class CopiedWorker(ToyWorker):
    """The product's worker, of a copy of the code in another folder."""

    def __init__(self, log: Path, environment: dict[str, str], code: Path) -> None:
        super().__init__(log, environment, {"code": str(code)})

    def _started(self, environment: dict[str, str], faults: dict[str, Any]) -> BaseProcess:
        process = FORKS.Process(target=_become, args=(str(self._log), environment, faults["code"]))
        process.start()
        return process


def _become(log: str, environment: dict[str, str], code: str) -> None:
    """Replace this process by a worker of other code, which writes to the log."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.chdir(code)
    own = {**os.environ, **environment, "PYTHONPATH": code}
    os.execve(sys.executable, [sys.executable, "-m", "streams", "worker"], own)  # noqa: S606 - the project's own command
