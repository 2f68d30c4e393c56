"""
The pages of the sinks: a thread of the program, on a port of its own.
"""

import resource
import threading
import time
from urllib.request import Request, urlopen

import pytest

from sinks.metrics import Metrics, Readiness
from sinks.web import StatusServer
from streams.program.listening import Endpoint
from streams.program.vitals import Vitals
from tests.integration.sinks.running import Running
from tests.support.silence import (
    LOOPBACK,
    Probe,
    ask,
    assert_that_silence_keeps_nobody_out,
    cpu_seconds,
    listens_on,
    open_files,
    silent,
)
from tests.support.wait import eventually


def test_a_probe_may_ask_for_the_head_alone_and_the_thread_ends() -> None:
    server = StatusServer(
        Endpoint("SINKS_ADMIN", "127.0.0.1", 0).bind(), Metrics().registry, Readiness(), Vitals("sinks-files")
    )
    try:
        with urlopen(Request(f"http://127.0.0.1:{server.port}/livez", method="HEAD"), timeout=10) as head:
            assert (head.status, head.headers["Content-Length"], head.read()) == (200, "6", b"")
    finally:
        server.close()
    eventually(lambda: "pages" not in {thread.name for thread in threading.enumerate()})


@pytest.mark.usefixtures("topics")
def test_the_pages_are_on_loopback_and_silent_strangers_keep_no_probe_out(running: Running) -> None:
    sink = running.start("files")
    eventually(lambda: sink.get("/readyz")[0] == 200, 60)
    assert listens_on(sink.process.pid) == {sink.port: LOOPBACK}
    assert b"server: routee" in ask(sink.port).lower()
    assert_that_silence_keeps_nobody_out(sink.process.pid, sink.port)
    assert sink.stop()[0] == 0


@pytest.mark.usefixtures("topics")
def test_a_sink_that_has_hardly_a_file_descriptor_left_stays_alive_for_its_supervisor(running: Running) -> None:
    sink = running.start("files")
    eventually(lambda: sink.get("/readyz")[0] == 200, 60)
    most = open_files(sink.process.pid) + 6
    resource.prlimit(sink.process.pid, resource.RLIMIT_NOFILE, (most, most))
    with silent(sink.port, 92), Probe(sink.port) as probe:
        eventually(lambda: open_files(sink.process.pid) >= most - 2)
        began, spent = time.monotonic(), cpu_seconds(sink.process.pid)
        eventually(lambda: probe.answers > 20 and time.monotonic() - began > 2)
        assert cpu_seconds(sink.process.pid) - spent < 0.5 * (time.monotonic() - began)
    assert probe.failed == []
    assert probe.slowest < 1.0
    assert sink.process.poll() is None
