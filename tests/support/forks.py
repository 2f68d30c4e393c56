"""
Processes that are forked from a server which has imported their code.

The imports are most of what a start takes, and the suites start hundreds of processes.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Final

FORKS: Final = multiprocessing.get_context("forkserver")
# Each child imports pytest, which runs the tests, unless the server has it.
_PRELOADED: Final = ["pytest", __name__]


def preload(*modules: str) -> None:
    """Let the server import the modules. It does so before its first fork: call this when a module is imported."""
    _PRELOADED.extend(modules)
    FORKS.set_forkserver_preload(_PRELOADED)


class ForkedCommand:
    """
    `python -m PROGRAM ARGUMENTS…` with this whole environment, its output added to a log; it runs at once.

    What it offers, it offers as `subprocess.Popen` does.
    """

    def __init__(self, program: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._name = " ".join((program, *arguments))
        given = (program, list(arguments), dict(environment), str(log))
        self._process = FORKS.Process(target=_run, args=given)
        self._process.start()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid or 0

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended; TimeoutExpired when it has not after so many seconds."""
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(self._name, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(SIGKILL)


def _run(program: str, arguments: list[str], environment: dict[str, str], log: str) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [program, *arguments]
    sys.exit(import_module(f"{program}.__main__").main())
