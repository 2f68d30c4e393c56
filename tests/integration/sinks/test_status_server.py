"""
The thread of the pages.
"""

import threading
from urllib.request import Request, urlopen

from sinks.metrics import Metrics, Readiness
from sinks.web import StatusServer
from streams.program.listening import Endpoint
from tests.support.wait import eventually


def test_a_probe_may_ask_for_the_head_alone_and_the_thread_ends() -> None:
    server = StatusServer(Endpoint("SINKS_ADMIN", "127.0.0.1", 0).bind(), Metrics().registry, Readiness())
    try:
        with urlopen(Request(f"http://127.0.0.1:{server.port}/livez", method="HEAD"), timeout=10) as head:
            assert (head.status, head.headers["Content-Length"], head.read()) == (200, "6", b"")
    finally:
        server.close()
    eventually(lambda: "pages" not in {thread.name for thread in threading.enumerate()})
