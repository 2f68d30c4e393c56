"""
Several server processes on one port: started, replaced when one dies or freezes, and stopped together.
"""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ingest.clock import Clock
from ingest.heartbeats import Heartbeats
from ingest.listener import bind
from ingest.metrics import Metrics, Pages
from ingest.pages import endpoint
from ingest.server import Sockets
from ingest.settings import IngestSettings
from streams.program.signals import ending_signals

logger = logging.getLogger(__name__)

_RESTART_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 9.0
_POLL_SECONDS: Final = 0.05
# An exit of its own, or the end by a signal before the worker handles signals; Ctrl-C reaches workers, too.
_STOPPED: Final = (0, -int(signal.SIGTERM), -int(signal.SIGINT), -int(signal.SIGHUP))

Work = Callable[[Sockets, Metrics, int], int]
"""The work of a worker, given its sockets, its metrics and its parent's process id; returns the exit code."""


class Workers:
    """
    Forks one process per socket of callbacks, and forks again for one that dies or no longer responds.

    Every socket stays open here, so the next worker takes the connections that wait in the socket of a dead one. The
    socket of the pages is shared by all: one that responds takes the connection.
    """

    def __init__(self, settings: IngestSettings, work: Work, clock: Clock) -> None:
        self._work = work
        self._clock = clock
        self._pages = Pages(settings.ingest_workers)
        self._listeners = _bind_all(settings)
        self._page_listener = endpoint(settings).bind()
        self._metrics = Metrics(self._pages, self._pages.of_parent)
        self._heartbeats = Heartbeats(settings.ingest_workers)
        self._running: dict[int, int] = {}
        self._killed: set[int] = set()
        self._due: dict[int, float] = {}
        self._hangup_is_for_tls = settings.ingest_tls_cert is not None
        self._hung_up = False
        self._stopping = False

    def run(self) -> int:
        """Work until a signal that ends `server.run`, or until a worker gives up; returns the exit code."""
        for number in ending_signals():
            signal.signal(number, self._stop)
        if self._hangup_is_for_tls:
            signal.signal(signal.SIGHUP, self._hang_up)
        for worker in range(len(self._listeners)):
            self._start(worker)
        code = self._watch()
        for listener in (*self._listeners, self._page_listener):
            listener.close()
        return self._end() or code

    def _watch(self) -> int:
        """Replace workers that died or froze; returns 1 when one gave up by itself, since the next one would too."""
        while not self._stopping:
            for worker, code in self._gone():
                if code > 0:
                    return 1
                logger.error("a worker died and is started again", extra={"worker": worker, "signal": -code})
                self._heartbeats.lost(worker)
                self._due[worker] = self._clock.monotonic() + _RESTART_SECONDS
            self._start_due()
            self._replace_frozen()
            if self._hung_up:
                self._hung_up = False
                self._signal(signal.SIGHUP)
            time.sleep(_POLL_SECONDS)
        return 0

    def _start_due(self) -> None:
        """Start the workers that died a second ago. The wait keeps neither a frozen worker nor a second dead one."""
        now = self._clock.monotonic()
        for worker in [worker for worker, due in self._due.items() if due <= now]:
            del self._due[worker]
            self._start(worker)

    def _replace_frozen(self) -> None:
        """Kill and replace the workers that no longer respond; not one that a debugger holds."""
        self._heartbeats.look(self._pages.beats, self._clock.monotonic())
        for pid, worker in self._running.items():
            if self._heartbeats.is_missing(worker) and _is_traced(pid):
                self._heartbeats.excuse(worker)
        frozen = self._heartbeats.frozen()
        for pid, worker in list(self._running.items()):
            if worker not in frozen:
                continue
            logger.error("a worker does not respond and is replaced", extra={"worker": worker, "pid": pid})
            os.kill(pid, signal.SIGKILL)
            # It may take long to die, as in a page storm; the next worker does not wait for that.
            del self._running[pid]
            self._killed.add(pid)
            self._heartbeats.lost(worker)
            self._metrics.replaced_worker()
            self._start(worker)
        self._metrics.missing_workers(self._heartbeats.missing)

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
            for number in ending_signals():
                signal.signal(number, signal.SIG_DFL)
            if self._hangup_is_for_tls:
                # The files are about to be read anyway, and the default is to die.
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            for other, listener in enumerate(self._listeners):
                if other != worker:
                    listener.close()
            sockets = Sockets(self._listeners[worker], self._page_listener)
            return self._work(sockets, Metrics(self._pages, worker), parent)
        except BaseException:
            logger.exception("a worker failed")
            return 1

    def _gone(self) -> list[tuple[int, int]]:
        """Return the workers that have ended, with their exit codes (negative: the signal)."""
        self._killed = {pid for pid in self._killed if not os.waitpid(pid, os.WNOHANG)[0]}
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

    def _hang_up(self, _number: int, _frame: object) -> None:
        self._hung_up = True


def _is_traced(pid: int) -> bool:
    """Whether a debugger holds a process."""
    return "\nTracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()


def _bind_all(settings: IngestSettings) -> list[socket.socket]:
    """Bind one socket per worker; a port that another program has is not shared with it."""
    alone = bind(settings)
    port = alone.getsockname()[1]
    alone.close()
    settings = settings.model_copy(update={"ingest_port": port})
    return [bind(settings, shared=True) for _ in range(settings.ingest_workers)]
