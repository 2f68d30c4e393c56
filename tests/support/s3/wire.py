"""
An HTTP proxy before an S3 server that throttles, fails and loses answers.
"""

import http.client
import random
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal, Self

Fault = Literal["SlowDown", "InternalError", "lost answer", "AccessDenied", "InvalidAccessKeyId"]
Choose = Callable[[str, str], Fault | None]
"""Takes the method and the path of a request, and returns what becomes of it; None: it is passed on."""

_STATUS: Final = {"SlowDown": 503, "InternalError": 500, "AccessDenied": 403, "InvalidAccessKeyId": 403}


class S3Wire:
    """
    Passes requests on within the block, besides those for which `choose` names a fault.

    They are answered in place of the server; or passed on, and the connection is closed in place of the answer. `made`
    counts the faults, and `asked` has the method and the path of every request. `left_out` is a header that no request
    has when it arrives.
    """

    def __init__(self, port: int) -> None:
        self.choose: Choose = lambda _method, _path: None
        self.left_out: str | None = None
        self.made: dict[str, int] = {}
        self.asked: list[tuple[str, str]] = []
        self._target = port
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail_at_random(self, seed: int, share: float) -> None:
        """Throttle, fail or lose the answer of so many writes of files, by a seed."""
        chance, lock = random.Random(seed), threading.Lock()  # noqa: S311 - moments, not secrets
        faults: tuple[Fault, ...] = ("SlowDown", "InternalError", "lost answer")

        def choose(method: str, path: str) -> Fault | None:
            with lock:
                is_due = method == "PUT" and "date" in path and chance.random() < share
                return chance.choice(faults) if is_due else None

        self.choose = choose

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        wire = self

        class Handler(BaseHTTPRequestHandler):
            def _pass_on(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                wire.asked.append((self.command, self.path))
                fault = wire.choose(self.command, self.path)
                if fault is not None:
                    wire.made[fault] = wire.made.get(fault, 0) + 1
                if fault in _STATUS:
                    self._answer(_STATUS[fault], [], f"<Error><Code>{fault}</Code></Error>".encode())
                    return
                headers = dict(self.headers.items())
                headers = {name: value for name, value in headers.items() if name.lower() != wire.left_out}
                answer, found = wire.ask(self.command, self.path, content, headers)
                if fault == "lost answer":
                    self.close_connection = True
                    return
                self._answer(answer.status, answer.getheaders(), found)

            do_GET = do_PUT = do_DELETE = do_HEAD = do_POST = _pass_on  # noqa: N815 - the library's names

            def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
                self.send_response(status)
                length = next((value for name, value in headers if name.lower() == "content-length"), len(content))
                for name, value in headers:
                    if name.lower() not in {"content-length", "connection", "transfer-encoding", "date", "server"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:  # noqa: ANN401 - as the library has it
                """Tell nothing."""

        return Handler

    def ask(
        self, method: str, path: str, content: bytes, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Pass a request on, and return the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._target, timeout=60)
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()
