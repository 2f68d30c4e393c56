"""
Keeps processes alive: a process that ends without being told to is soon started again, with a warning.
"""

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from sandbox.errors import StartError
from sandbox.process import Process

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.1
_FIRST_DELAY: Final = 0.1
# Together with a look this stays below 2 s, the promised time for a dead program to be back.
_LONGEST_DELAY: Final = 1.5
# A process that lived this long did not fail at its start.
_HEALTHY_SECONDS: Final = 10.0


class Supervisor:
    """
    A thread that watches processes, in any order, from `start` to `stop`.

    The first start again comes at once; one that keeps dying is tried every 1.5 s. Starting and stopping in order
    is not its job.
    """

    def __init__(self, processes: Iterable[Process]) -> None:
        self._watches = {process.name: _Watch(process) for process in processes}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        # A daemon: if we leave without `stop`, the processes end with us.
        self._thread = threading.Thread(target=self._look, name="supervisor", daemon=True)

    def start(self) -> None:
        """Begin to watch; the processes run already."""
        self._thread.start()

    def stop(self) -> None:
        """Return when nothing will be started again."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def left_alone(self, name: str) -> Iterator[None]:
        """Do not start this process again within the block; after it, it is started when it does not run."""
        with self._lock:
            self._watches[name].suspended = True
        try:
            yield
        finally:
            with self._lock:
                self._watches[name].suspended = False

    def _look(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            with self._lock:
                for watch in self._watches.values():
                    watch.look(time.monotonic())


class _Watch:
    """One process under watch: when it was started, when it is due again."""

    def __init__(self, process: Process) -> None:
        self.suspended = False
        self._process = process
        self._started = time.monotonic()
        self._delay = _FIRST_DELAY
        self._due: float | None = None

    def look(self, now: float) -> None:
        """Take note of the process's end, or start it when it is due."""
        if self._process.is_running or self.suspended:
            return
        if self._due is None:
            self._plan(now)
        elif now >= self._due:
            self._restart(now)

    def _plan(self, now: float) -> None:
        healthy = now - self._started > _HEALTHY_SECONDS
        self._delay = _FIRST_DELAY if healthy else min(2 * self._delay, _LONGEST_DELAY)
        self._due = now + self._delay
        killed = (self._process.exit_code or 0) < 0
        logger.warning(
            "%s ended with exit code %s and is started again",
            self._process.name,
            self._process.exit_code,
            extra={"pid": self._process.pid} | ({} if killed else {"said": self._process.last_words(1)}),
        )

    def _restart(self, now: float) -> None:
        self._due = None
        self._started = now
        try:
            self._process.start()
        except StartError as error:  # no memory, say: it may be there in a moment
            logger.error("%s", error)  # noqa: TRY400 - its message is for people, its traceback is not
