"""
A receiver of webhooks: keeps what it was sent, and answers as a test wants.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass
class Received:
    """One request: its headers in lower case, and its body."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Return the id of the notice."""
        return self.headers["webhook-id"]

    @property
    def told(self) -> tuple[str, dict[str, Any]]:
        """Return the type of the notice, and its record."""
        told = orjson.loads(self.body)
        return told["type"], told["data"]


@dataclass
class Receiver:
    """The requests so far, in order; `statuses` are the next answers, 204 follows them."""

    url: str = ""
    requests: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Yield a receiver that listens on loopback."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.requests.append(Received({name.lower(): value for name, value in self.headers.items()}, body))
            status = made.statuses.pop(0) if made.statuses else 204
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", made.url)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/hook?token=s3cret"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
