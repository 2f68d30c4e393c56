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
from tempfile import TemporaryDirectory
from typing import Final

FORKS: Final = multiprocessing.get_context("forkserver")
# Each child imports pytest, which runs the tests, unless the server has it.
_PRELOADED: Final = ["pytest", __name__]
_ADDING: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_FLAGS: Final = (os.O_RDONLY, _ADDING, _ADDING)


def preload(*modules: str) -> None:
    """Let the server import the modules. It does so before its first fork: call this when a module is imported."""
    _PRELOADED.extend(modules)
    FORKS.set_forkserver_preload(_PRELOADED)


class ForkedCommand:
    """
    `python -m PROGRAM ARGUMENTS…` with this whole environment, its output added to a log; it runs at once.

    It runs in the folder that is named, else in ours. What it offers, it offers as `subprocess.Popen` does.
    """

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        folder: Path | None = None,
    ) -> None:
        self._name = " ".join((program, *arguments))
        streams = [os.devnull, str(log), str(log)]
        given = (program, list(arguments), dict(environment), streams, str(folder or Path.cwd()))
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


def run_forked(
    program: str, *arguments: str, environment: Mapping[str, str], told: str = "", seconds: float = 60
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m PROGRAM ARGUMENTS…` to its end, with a text on its input, as `subprocess.run` would."""
    with TemporaryDirectory() as name:
        streams = [Path(name, stream) for stream in ("in", "out", "err")]
        streams[0].write_text(told)
        process = FORKS.Process(
            target=_run, args=(program, list(arguments), dict(environment), [*map(str, streams)], str(Path.cwd()))
        )
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired([program, *arguments], seconds)
        said = [stream.read_text() for stream in streams[1:]]
        return subprocess.CompletedProcess([program, *arguments], process.exitcode, *said)


def _run(program: str, arguments: list[str], environment: dict[str, str], streams: list[str], folder: str) -> None:
    """Become the program; `streams` are the files of input, output and errors."""
    for number, (stream, flags) in enumerate(zip(streams, _FLAGS, strict=True)):
        file = os.open(stream, flags, 0o644)
        os.dup2(file, number)
        os.close(file)
    # multiprocessing has opened another file as the input.
    sys.stdin = os.fdopen(0, closefd=False)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [program, *arguments]
    sys.exit(import_module(f"{program}.__main__").main())
