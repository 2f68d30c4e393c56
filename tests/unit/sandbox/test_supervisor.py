import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.process import Process
from sandbox.supervisor import _LOOK_SECONDS, Supervisor, _Watch
from tests.support.wait import eventually

_SLEEP = "import time; print('up', flush=True); time.sleep(60)"


class Watched:
    """Two processes under a running supervisor."""

    def __init__(self, folder: Path, code: str) -> None:
        self.steady = Process("steady", (sys.executable, "-c", _SLEEP), folder / "steady.log")
        self.other = Process("other", (sys.executable, "-c", code), folder / "other.log")
        for process in (self.steady, self.other):
            process.start()
        self.supervisor = Supervisor([self.steady, self.other])
        self.supervisor.start()

    def stop(self) -> None:
        self.supervisor.stop()
        self.steady.kill()
        self.other.kill()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path, _SLEEP)
    yield watched
    watched.stop()


def test_a_process_that_was_killed_is_back(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    steady, first = watched.steady.pid, watched.other.pid
    with caplog.at_level(logging.WARNING):
        os.kill(first, signal.SIGKILL)
        eventually(lambda: watched.other.is_running and watched.other.pid != first)
    assert watched.steady.pid == steady
    assert [record.getMessage() for record in caplog.records] == ["other ended with exit code -9 and is started again"]


class Killed:
    """A process that runs when it is started, until it is killed again."""

    name, pid, exit_code = "killed", 1, -9
    is_running = True

    def start(self) -> None:
        self.is_running = True


def test_a_process_killed_again_and_again_is_started_within_two_seconds_every_time() -> None:
    """By the clock of the looks: a busy machine may take longer over a start."""
    process = Killed()
    watch = _Watch(process)  # type: ignore[arg-type]
    now = time.monotonic()
    for _ in range(8):
        process.is_running, killed = False, now
        while not process.is_running:
            now += _LOOK_SECONDS
            watch.look(now)
        assert now - killed <= 2


def test_a_process_that_falls_over_its_start_does_not_spin(tmp_path: Path) -> None:
    watched = Watched(tmp_path, "print('up', flush=True); raise SystemExit(3)")
    began = time.monotonic()
    eventually(lambda: (tmp_path / "other.log").read_text().count("up") == 4)
    watched.stop()
    assert time.monotonic() - began > 1  # 0.2 + 0.4 + 0.8 s


def test_nothing_is_started_after_stop(watched: Watched) -> None:
    watched.supervisor.stop()
    pid = watched.other.pid
    watched.other.kill()
    assert watched.other.pid == pid
    assert not watched.other.is_running


def test_a_process_left_alone_stays_down_until_the_end_of_the_block(watched: Watched, tmp_path: Path) -> None:
    eventually(lambda: (tmp_path / "other.log").read_text().count("up") == 1)
    with watched.supervisor.left_alone("other"):
        watched.other.stop(5)
        seen: set[int] = set()
        for _ in range(3):  # each time later than `other` would have been back
            seen.add(watched.steady.pid)
            os.kill(watched.steady.pid, signal.SIGKILL)
            eventually(lambda: watched.steady.is_running and watched.steady.pid not in seen)
        assert not watched.other.is_running
    eventually(lambda: (tmp_path / "other.log").read_text().count("up") == 2)
