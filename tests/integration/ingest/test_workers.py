"""The start of a worker process."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.metrics import Metrics
from ingest.settings import IngestSettings
from ingest.workers import Workers
from tests.support.clock import FakeClock


@pytest.fixture
def _signals() -> Iterator[None]:
    """Give the signals back to the test's own process."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals")
def test_a_worker_whose_parent_dies_at_once_knows_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of the kernel in the worker, the parent would be its new one, and the worker would never end."""
    read, write = os.pipe()

    def work(_listener: socket.socket, _metrics: Metrics, parent: int) -> int:
        os.write(write, b"%d" % parent)
        return 1

    monkeypatch.setattr("ingest.workers.os.getppid", lambda: 1)
    settings = IngestSettings(ingest_host="127.0.0.1", ingest_port=0)
    assert Workers(settings, work, FakeClock()).run() == 1, "a worker that gives up ends them all"
    assert int(os.read(read, 20)) == os.getpid()
    for end in (read, write):
        os.close(end)


_STARTING = """
import sys, time
from ingest.clock import SystemClock
from ingest.settings import IngestSettings
from ingest.workers import Workers

def work(*_):
    sys.stdout.write("starting\\n")
    sys.stdout.flush()
    time.sleep(600)

sys.exit(Workers(IngestSettings(ingest_host="127.0.0.1", ingest_port=0, ingest_workers=2), work, SystemClock()).run())
"""


def test_ctrl_c_while_workers_start_is_no_failure(tmp_path: Path) -> None:
    """A terminal interrupts workers, too, which do not take it as SIGTERM before they listen."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what we ignore, children would, too
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", _STARTING], cwd=tmp_path, stdout=subprocess.PIPE, text=True, process_group=0
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["starting\n"] * 2
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) == 0
    process.stdout.close()
