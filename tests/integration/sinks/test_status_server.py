"""
The port of `/livez`, `/readyz` and `/metrics`, asked over HTTP.
"""

from urllib.request import Request, urlopen

from sinks.metrics import Metrics, Readiness
from sinks.web import StatusServer


def test_a_probe_may_ask_for_the_head_alone() -> None:
    server = StatusServer(0, Metrics().registry, Readiness())
    try:
        with urlopen(Request(f"http://127.0.0.1:{server.port}/livez", method="HEAD"), timeout=10) as head:
            assert (head.status, head.headers["Content-Length"], head.read()) == (200, "6", b"")
    finally:
        server.close()
