"""Worker processes: how they start, and how one is replaced that no longer responds."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.metrics import Metrics
from ingest.server import Sockets
from ingest.settings import IngestSettings
from ingest.workers import Workers
from tests.integration.ingest.process import environment, ingest
from tests.support.clock import FakeClock
from tests.support.wait import eventually


@pytest.fixture
def _signals() -> Iterator[None]:
    """Give the signals back to the test's own process."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals")
def test_a_worker_whose_parent_dies_at_once_knows_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of the kernel in the worker, the parent would be its new one, and the worker would never end."""
    read, write = os.pipe()

    def work(_sockets: Sockets, _metrics: Metrics, parent: int) -> int:
        os.write(write, b"%d" % parent)
        return 1

    monkeypatch.setattr("ingest.workers.os.getppid", lambda: 1)
    settings = IngestSettings(ingest_host="127.0.0.1", ingest_port=0, ingest_admin_port=0)
    assert Workers(settings, work, FakeClock()).run() == 1, "a worker that gives up ends them all"
    assert int(os.read(read, 20)) == os.getpid()
    for end in (read, write):
        os.close(end)


_COMMAND = """
import os, sys, time
from ingest.clock import SystemClock
from ingest.settings import IngestSettings
from ingest.workers import Workers

def say(line):
    os.write(1, f"{line}\\n".encode())

def starting(*_):
    say("starting")
    time.sleep(600)

def beating(_, metrics, parent):
    while os.getppid() == parent:
        metrics.beat()
        say(os.getpid())
        time.sleep(0.1)
    return 0

def busy(_, metrics, parent):
    while os.getppid() == parent:
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            pass
        metrics.beat()
        say(os.getpid())
    return 0

settings = IngestSettings(ingest_host="127.0.0.1", ingest_port=0, ingest_admin_port=0, ingest_workers=2)
sys.exit(Workers(settings, globals()[sys.argv[1]], SystemClock()).run())
"""


class Parent:
    """A process with two workers, each of which writes lines."""

    def __init__(self, folder: Path, work: str) -> None:
        # Signals that we ignore, children would, too.
        before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGHUP)}
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, work],
                cwd=folder,
                stdout=subprocess.PIPE,
                text=True,
                process_group=0,
            )
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def line(self) -> str:
        """Return the next line of any worker."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def workers(self) -> set[int]:
        """Return the workers when each of two has written a line."""
        seen: set[int] = set()
        while len(seen) < 2:
            seen.add(int(self.line()))
        return seen

    def wait_for_lines(self, worker: int, count: int) -> set[int]:
        """Return all workers that wrote while one of them wrote so many lines."""
        seen: list[int] = []
        while seen.count(worker) < count:
            seen.append(int(self.line()))
        return set(seen)

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Parent]]:
    started: list[Parent] = []

    def start(work: str) -> Parent:
        started.append(Parent(tmp_path, work))
        return started[-1]

    yield start
    for parent in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(parent.process.pid, signal.SIGKILL)
        parent.process.wait()
        assert parent.process.stdout is not None
        parent.process.stdout.close()


Start = Callable[[str], Parent]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_terminal_that_ends_workers_while_they_start_is_no_failure(start: Start, number: signal.Signals) -> None:
    """A terminal signals workers, too, which do not take it as SIGTERM before they listen."""
    parent = start("starting")
    assert [parent.line() for _ in range(2)] == ["starting"] * 2
    os.killpg(parent.process.pid, number)
    assert parent.process.wait(30) == 0


def test_a_frozen_worker_is_replaced_within_five_seconds(start: Start) -> None:
    parent = start("beating")
    workers = parent.workers()
    frozen, other = workers
    os.kill(frozen, signal.SIGSTOP)
    seen = [other]
    while set(seen) <= workers:
        seen.append(int(parent.line()))
    # The other one writes at most ten lines a second, fewer on a machine that gives it no time.
    assert 25 < seen.count(other) < 50
    eventually(lambda: not Path(f"/proc/{frozen}").exists())
    assert Path(f"/proc/{other}").exists()
    assert parent.stop() == 0


def test_workers_that_freeze_together_are_replaced_together(start: Start) -> None:
    parent = start("beating")
    frozen = parent.workers()
    for worker in frozen:
        os.kill(worker, signal.SIGSTOP)
    seen: set[int] = set()
    while len(seen - frozen) < 2:
        seen.add(int(parent.line()))
    assert parent.stop() == 0


def test_a_worker_that_dies_over_and_over_does_not_save_a_frozen_one(start: Start) -> None:
    parent = start("beating")
    seen = parent.workers()
    frozen, dying = seen
    os.kill(frozen, signal.SIGSTOP)
    lives = 0
    while Path(f"/proc/{frozen}").exists():
        os.kill(dying, signal.SIGKILL)
        while (dying := int(parent.line())) in seen:
            pass
        seen.add(dying)
        lives += 1
    # A life takes the second before it.
    assert lives <= 6
    assert parent.stop() == 0


def test_workers_that_die_together_are_started_together(start: Start) -> None:
    parent = start("beating")
    dead = parent.workers()
    for worker in dead:
        os.kill(worker, signal.SIGKILL)
    lines: list[int] = []
    while len({*lines} - dead) < 2:
        lines.append(int(parent.line()))
    # Ten a second; the second one would come a second later.
    assert sum(line not in dead for line in lines) < 7
    assert parent.stop() == 0


def test_a_busy_worker_is_not_replaced(start: Start) -> None:
    parent = start("busy")
    workers = parent.workers()
    assert parent.wait_for_lines(min(workers), 2) <= workers
    assert parent.stop() == 0


def test_a_parent_that_was_stopped_takes_no_worker_for_frozen(start: Start) -> None:
    """Its own time did not go on: the workers have not been silent in it."""
    parent = start("beating")
    workers = parent.workers()
    os.kill(parent.process.pid, signal.SIGSTOP)
    stopped, working = workers
    os.kill(stopped, signal.SIGSTOP)
    parent.wait_for_lines(working, 36)
    os.kill(parent.process.pid, signal.SIGCONT)
    parent.wait_for_lines(working, 5)
    os.kill(stopped, signal.SIGCONT)
    assert parent.wait_for_lines(stopped, 10) == workers
    assert parent.stop() == 0


_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17


def test_a_worker_that_a_debugger_holds_is_not_replaced(start: Start) -> None:
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    parent = start("beating")
    workers = parent.workers()
    held, working = workers
    # Attaching would leave a SIGSTOP behind, which may stop the worker after it is let go.
    if ptrace(_SEIZE, held, None, None) or ptrace(_INTERRUPT, held, None, None):
        pytest.skip(f"needs ptrace, which this machine forbids: {os.strerror(ctypes.get_errno())}")
    os.waitpid(held, 0x40000000)  # __WALL: the child of a child has stopped
    assert parent.wait_for_lines(working, 36) <= workers
    ptrace(_DETACH, held, None, None)
    assert parent.wait_for_lines(held, 5) == workers
    assert parent.stop() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_hangup_ends_the_server_as_a_stop_does(tmp_path: Path, workers: int) -> None:
    with ingest(tmp_path, environment("127.0.0.1:1", "t.", ingest_workers=workers)) as server:
        eventually(lambda: server.log.count("listening on") == workers)
        server.process.send_signal(signal.SIGHUP)
        assert server.process.wait(10) == 0
        assert server.log.count('"stopped"') == workers


@pytest.mark.parametrize("workers", [1, 2])
def test_under_nohup_a_hangup_changes_nothing(tmp_path: Path, workers: int) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        running = ingest(tmp_path, environment("127.0.0.1:1", "t.", ingest_workers=workers))
        with running as server:
            eventually(lambda: server.log.count("listening on") == workers)
            server.process.send_signal(signal.SIGHUP)
            assert server.get("/livez") == (200, "ok\n")
            assert server.stop() == 0
    finally:
        signal.signal(signal.SIGHUP, before)
