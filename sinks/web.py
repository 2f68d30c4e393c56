"""
`/livez`, `/readyz` and `/metrics` over HTTP, on a thread of their own.
"""

import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from sinks.errors import FatalError
from sinks.metrics import Readiness

_TEXT = "text/plain; charset=utf-8"


class StatusServer:
    """Answers until it is closed. FatalError when the port is not free."""

    def __init__(self, port: int, registry: CollectorRegistry, readiness: Readiness) -> None:
        try:
            self._server = ThreadingHTTPServer(("", port), _handler(registry, readiness))
        except OSError as error:
            raise FatalError(f"SINKS_METRICS_PORT={port}: {error.strerror}") from error
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="status", daemon=True).start()

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


def port_problems(port: int) -> Iterator[str]:
    """Yield a line when the port cannot be had."""
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        yield f"SINKS_METRICS_PORT={port}: {os.strerror(error.errno or 0)}"


def answer(path: str, registry: CollectorRegistry, readiness: Readiness) -> tuple[int, str, bytes]:
    """Return status, content type and body for a path."""
    match path.partition("?")[0]:
        case "/livez":
            return 200, _TEXT, b"alive\n"
        case "/readyz":
            reasons = readiness.reasons
            return (503, _TEXT, "\n".join([*reasons, ""]).encode()) if reasons else (200, _TEXT, b"ready\n")
        case "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest(registry)
        case _:
            return 404, _TEXT, b"/livez, /readyz, /metrics\n"


def _handler(registry: CollectorRegistry, readiness: Readiness) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(self._begin_answer())

        def do_HEAD(self) -> None:
            self._begin_answer()

        def _begin_answer(self) -> bytes:
            status, content_type, body = answer(self.path, registry, readiness)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            return body

        def log_message(self, *_: object) -> None:
            """Log nothing: every probe would be a line."""

    return Handler
