"""What a worker process is told when it begins."""

import os
import socket

import pytest

from ingest.metrics import Metrics
from ingest.settings import IngestSettings
from ingest.workers import Workers
from tests.support.clock import FakeClock


def test_a_worker_whose_parent_dies_at_once_knows_who_that_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """By whoever inherits it, it could not tell that it is to end."""
    told, tell = os.pipe()

    def work(_listener: socket.socket, _metrics: Metrics, parent: int) -> int:
        os.write(tell, b"%d" % parent)
        return 0

    settings = IngestSettings(ingest_host="127.0.0.1", ingest_port=0)
    workers = Workers(settings, work, FakeClock())
    monkeypatch.setattr("ingest.workers.os.getppid", lambda: 1)
    workers._start(0)
    (pid,) = workers._running
    assert int(os.read(told, 20)) == os.getpid()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for end in (told, tell):
        os.close(end)
    for listener in workers._listeners:
        listener.close()
