"""One alarm on its whole way: a page, the real Prometheus, the real Alertmanager, a receiver."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request

import pytest

from sandbox.audit.http import fetch
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


HIDDEN = [
    ("ProgramDown", {"job": "streams"}, "PartitionsUnowned", {"table": "track_sms"}),
    ("ProgramDown", {"job": "streams"}, "PipelineLate", {"stage": "streams track_sms"}),
    ("ProgramDown", {"job": "sinks-files"}, "PipelineFallsBehind", {"job": "sinks-files", "stage": "sinks-files t"}),
    ("IngestNotReady", {}, "IngestRefuses", {}),
]
SHOWN = [
    ("ProgramDown", {"job": "console"}, "IngestNotReady", {}),
    ("ProgramDown", {"job": "ingest"}, "IngestNotReady", {}),
    ("ProgramDown", {"job": "backfill"}, "IngestSilent", {}),
    ("ProgramDown", {"job": "console"}, "PartitionsUnowned", {"table": "track_sms"}),
    ("ProgramDown", {"job": "streams"}, "PartitionsUnowned", {"job": "sinks-files", "topic": "t"}),
    ("ProgramDown", {"job": "sinks-files"}, "PipelineLate", {"job": "sinks-clickhouse", "stage": "sinks-clickhouse t"}),
    ("ProgramDown", {"job": "sinks-files"}, "PipelineFallsBehind", {"stage": "streams track_sms"}),
]


@pytest.mark.parametrize(("of", "is_hidden"), [(HIDDEN, True), (SHOWN, False)], ids=["hidden", "shown"])
def test_an_alarm_is_hidden_by_the_end_of_its_own_program_only(
    of: list[tuple[str, dict[str, str], str, dict[str, str]]],
    is_hidden: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    """Ingest that stores nothing must page, also while the console is down."""
    for number, (source, of_source, target, of_target) in enumerate(of):
        alarms = [
            {"labels": {"alertname": name, "severity": "page", **labels}}
            for name, labels in ((source, of_source), (target, of_target))
        ]
        with serving() as (url, _), Alertmanager(tmp_path / str(number), url) as alertmanager:
            api = f"{alertmanager.url}/api/v2/alerts"
            body = json.dumps(alarms).encode()
            fetch(Request(api, body, {"Content-Type": "application/json"}))  # noqa: S310 - on this machine

            def hidden(api: str = api, target: str = target) -> list[bool]:
                told = {alarm["labels"]["alertname"]: alarm["status"] for alarm in json.loads(fetch(api))}
                is_judged = len(told) == 2 and all(status["state"] != "unprocessed" for status in told.values())
                return [bool(told[target]["inhibitedBy"])] if is_judged else []

            eventually(hidden, 30)
            assert hidden() == [is_hidden], (source, of_source, target, of_target)


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
