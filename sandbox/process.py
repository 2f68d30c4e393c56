"""
One program of the sandbox as a child process: its log file, its end, and the promise not to outlive its parent.
"""

import ctypes
import functools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from sandbox.disk import has_room
from sandbox.errors import StartError
from sandbox.logs import message_of

_PR_SET_PDEATHSIG: Final = 1
_POLL_SECONDS: Final = 0.02
_TELLING: Final = re.compile(r"fatal|error|exception|critical|cannot|failed", re.IGNORECASE)
_STACK_FRAME: Final = re.compile(r"^\s+(at |\.\.\. |File )")


class Process:
    """
    A command that can be started, stopped and started again; its output is appended to one log file.

    It runs in a process group of its own within our session, so Ctrl-C in a terminal reaches us alone and we
    decide on the order in which programs stop. When we die, however, even by a SIGKILL, the kernel kills it (Linux).
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = environment
        self._running: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """Return the process id of the last start; LookupError before the first."""
        if self._running is None:
            raise LookupError(f"{self.name} was never started")
        return self._running.pid

    @property
    def exit_code(self) -> int | None:
        """Return how the process ended (-9 for a SIGKILL), None while it runs or before it was started."""
        return None if self._running is None else self._running.poll()

    @property
    def is_running(self) -> bool:
        """Return whether the process is there."""
        return self._running is not None and self._running.poll() is None

    def start(self) -> None:
        """Start the command; StartError when there is no such program. It may be called again after the end."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._running = _starter().submit(self._spawn).result()
        except OSError as error:
            raise StartError(f"{self.name} can not be started: {error}") from error

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            return subprocess.Popen(  # noqa: S603 - commands are the sandbox's own
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=_begin(os.getpid()),  # noqa: PLW1509 - it only makes system calls
            )

    def terminate(self) -> None:
        """Ask the process to end (SIGTERM); `wait` sees to it."""
        if self.is_running:
            os.kill(self.pid, signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Return whether the process ended within so many seconds; what stayed is killed with all it started."""
        if self._running is None:
            return True
        try:
            self._running.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def stop(self, seconds: float) -> bool:
        """Ask the process to end, and kill it when it has not after so many seconds; return whether it obeyed."""
        self.terminate()
        return self.wait(seconds)

    def kill(self) -> None:
        """End the process and its children at once (SIGKILL), without a chance to tidy up."""
        if self.is_running:
            os.killpg(self.pid, signal.SIGKILL)
            if self._running is not None:
                self._running.wait()

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """
        Return when `ready()` holds; StartError, with the end of the log, when the process ends or time is up.

        StartError at once when the disk that holds the log is full: nothing gets ready then, and it may wait for ever.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.is_running:
                raise StartError(f"{self.name} ended with exit code {self.exit_code}: {self.last_words()}")
            if not has_room(self.log.parent):
                raise StartError(f"{self.name} is not ready: the disk that holds {self.log} is full")
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} was not ready after {seconds:.0f} s: {self.last_words()}")
            time.sleep(_POLL_SECONDS)

    def require_success(self, seconds: float) -> None:
        """Return when a command that ends by itself has done so; StartError unless its exit code is 0."""
        in_time = self.wait(seconds)
        if self.exit_code:
            how = f"ended with exit code {self.exit_code}" if in_time else f"was not done after {seconds:.0f} s"
            raise StartError(f"{self.name} {how}: {self.last_words()}")

    def last_words(self, lines: int = 3) -> str:
        """Return what the log has said of a failure since the last start, else its last lines; no stack frames."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            text = log.read().decode(errors="replace")
        said = [message_of(line.strip()) for line in text.splitlines() if line.strip() and not _STACK_FRAME.match(line)]
        telling = [line for line in said if _TELLING.search(line)]
        return " | ".join((telling or said)[-lines:]) or f"it said nothing in {self.log}"


def stop_all(processes: Iterable[Process], seconds: float) -> None:
    """Ask all processes to end at once, and kill each that has not ended after so many seconds."""
    waiting = list(processes)
    for process in waiting:
        process.terminate()
    deadline = time.monotonic() + seconds
    for process in waiting:
        process.wait(max(0.0, deadline - time.monotonic()))


@functools.cache
def _starter() -> ThreadPoolExecutor:
    """
    Return the one thread that starts all processes: the kernel takes the *thread* that forked for the parent.

    It takes no SIGINT. Until a child has a process group of its own, Ctrl-C reaches it, too, and Python in it would
    print a traceback.
    """
    return ThreadPoolExecutor(1, "starter", signal.pthread_sigmask, (signal.SIG_BLOCK, {signal.SIGINT}))


def _begin(parent: int) -> Callable[[], None]:
    """Return the calls of a child between fork and exec. On Linux the kernel then kills it when its parent dies."""
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def begin() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)
        # The program takes SIGINT again; one that came meanwhile ends it at once.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    return begin
