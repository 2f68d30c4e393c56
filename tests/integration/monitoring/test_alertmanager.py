"""One alarm on its whole way: a page, the real Prometheus, the real Alertmanager, a receiver."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.monitoring import Alertmanager, Prometheus, what_is_missing
from tests.support.wait import eventually

MISSING = what_is_missing("prometheus", "alertmanager")
pytestmark = pytest.mark.skipif(bool(MISSING), reason=str(MISSING))

PAGE = b"""\
routee_streams_alarm_open{kind="delivery-drop",subject="GR Cosmote",level="alarm"} 1
routee_streams_alarm_open{kind="latency-rise",subject="GR Nova",level="suspected"} 1
"""


class Both(BaseHTTPRequestHandler):
    """A program with a page of metrics, and a receiver of alarms."""

    told: list[dict[str, Any]]

    def do_GET(self) -> None:
        self._answer(PAGE)

    def do_POST(self) -> None:
        self.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    told: list[dict[str, Any]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OfThisTest", (Both,), {"told": told}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_open_alarm_of_delivery_reaches_a_person_and_a_suspicion_does_not(tmp_path: Path) -> None:
    with (
        serving() as (url, told),
        Alertmanager(tmp_path / "alertmanager", url) as alertmanager,
        Prometheus(tmp_path / "prometheus", {"streams": url}, alertmanager.address) as prometheus,
    ):
        eventually(lambda: told, 60)
        shown = prometheus.now("routee_streams_alarm_open")
    assert len(shown) == 2
    (alarm,) = told[0]["alerts"]
    assert told[0]["receiver"] == "now"
    assert alarm["status"] == "firing"
    assert alarm["labels"]["alertname"] == "DeliveryAlarm"
    assert alarm["annotations"] == {
        "summary": "delivery-drop: GR Cosmote",
        "runbook": "RUNBOOK.md#deliveryalarm",
    }
    assert "latency-rise" not in json.dumps(told)
