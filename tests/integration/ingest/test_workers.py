"""What a worker process is told when it begins."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.metrics import Metrics
from ingest.settings import IngestSettings
from ingest.workers import Workers


def test_a_worker_whose_parent_dies_at_once_knows_who_that_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """By whoever inherits it, it could not tell that it is to end."""
    told, tell = os.pipe()

    def work(_listener: socket.socket, _metrics: Metrics, parent: int) -> int:
        os.write(tell, b"%d" % parent)
        return 0

    settings = IngestSettings(ingest_host="127.0.0.1", ingest_port=0)
    workers = Workers(settings, work)
    monkeypatch.setattr("ingest.workers.os.getppid", lambda: 1)
    workers._start(0)
    (pid,) = workers._running
    assert int(os.read(told, 20)) == os.getpid()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for end in (told, tell):
        os.close(end)
    for listener in workers._listeners:
        listener.close()


_STARTING = """
import sys, time
from ingest.settings import IngestSettings
from ingest.workers import Workers

def work(*_):
    sys.stdout.write("starting\\n")
    sys.stdout.flush()
    time.sleep(600)

sys.exit(Workers(IngestSettings(ingest_host="127.0.0.1", ingest_port=0, ingest_workers=2), work).run())
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
