"""
Several server processes on one port: started, started again when one dies, and stopped together.
"""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Final

from ingest.clock import Clock
from ingest.metrics import Metrics, Pages
from ingest.server import bind
from ingest.settings import IngestSettings

logger = logging.getLogger(__name__)

_RESTART_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 9.0
_POLL_SECONDS: Final = 0.05
# An exit of its own, or the end by a signal before the worker handles signals; Ctrl-C reaches workers, too.
_STOPPED: Final = (0, -int(signal.SIGTERM), -int(signal.SIGINT))

Work = Callable[[socket.socket, Metrics, int], int]
"""The work of a worker, given its socket, its metrics and its parent's process id; returns the exit code."""


class Workers:
    """
    Forks one process per socket, and forks again for one that dies.

    Every socket stays open here, so the next worker takes the connections that wait in the socket of a dead one.
    """

    def __init__(self, settings: IngestSettings, work: Work, clock: Clock) -> None:
        self._work = work
        self._clock = clock
        self._pages = Pages(settings.ingest_workers)
        self._listeners = _bind_all(settings)
        self._running: dict[int, int] = {}
        self._stopping = False

    def run(self) -> int:
        """Work until SIGTERM, SIGINT, or until a worker gives up; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        for worker in range(len(self._listeners)):
            self._start(worker)
        code = self._watch()
        for listener in self._listeners:
            listener.close()
        return self._end() or code

    def _watch(self) -> int:
        """Start workers again that died; returns 1 when one gave up by itself, since the next one would too."""
        while not self._stopping:
            for worker, code in self._gone():
                if code > 0:
                    return 1
                logger.error("a worker died and is started again", extra={"worker": worker, "signal": -code})
                time.sleep(_RESTART_SECONDS)
                self._start(worker)
            time.sleep(_POLL_SECONDS)
        return 0

    def _end(self) -> int:
        """Stop all; returns 1 when one had to be killed or failed."""
        self._signal(signal.SIGTERM)
        deadline = self._clock.monotonic() + _STOP_SECONDS
        code = 0
        while self._running and self._clock.monotonic() < deadline:
            if any(left not in _STOPPED for _, left in self._gone()):
                code = 1
            time.sleep(_POLL_SECONDS)
        if self._running:
            self._signal(signal.SIGKILL)
            code = 1
        return code

    def _start(self, worker: int) -> None:
        if self._stopping:
            return
        # Asked before the fork: a worker whose parent dies at once would take its new parent for the old one, and stay.
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os._exit(self._be(worker, parent))
        self._running[pid] = worker

    def _be(self, worker: int, parent: int) -> int:
        """Be a worker, and return its exit code; raises nothing into the code of the parent."""
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            for other, listener in enumerate(self._listeners):
                if other != worker:
                    listener.close()
            return self._work(self._listeners[worker], Metrics(self._pages, worker), parent)
        except BaseException:
            logger.exception("a worker failed")
            return 1

    def _gone(self) -> list[tuple[int, int]]:
        """Return the workers that have ended, with their exit codes (negative: the signal)."""
        gone = []
        for pid, worker in list(self._running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._running[pid]
                gone.append((worker, os.waitstatus_to_exitcode(status)))
        return gone

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._running:
            os.kill(pid, number)

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True


def _bind_all(settings: IngestSettings) -> list[socket.socket]:
    """Bind one socket per worker; a port that another program has is not shared with it."""
    alone = bind(settings)
    port = alone.getsockname()[1]
    alone.close()
    settings = settings.model_copy(update={"ingest_port": port})
    return [bind(settings, shared=True) for _ in range(settings.ingest_workers)]
