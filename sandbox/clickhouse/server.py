"""
The HTTP face: requests in, answers out, the work in threads.
"""

import asyncio
import hmac
import json
import os
import secrets
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any, Final
from urllib.parse import parse_qsl

import uvicorn

from sandbox.clickhouse.compression import encode_blocks, encode_body
from sandbox.clickhouse.engine import Engine, Result
from sandbox.clickhouse.errors import ClickHouseError, refusal
from sandbox.clickhouse.protocol import Query, Request, credentials, read_query
from streams.program.origin import Origin
from streams.program.signals import ending_signals

_QUERIES_AT_ONCE: Final = 8
_CLOSING_SECONDS: Final = 2
_TAG_LETTERS: Final = 16
_TEXT: Final = "text/plain; charset=UTF-8"
_CONTENT_TYPES: Final = {
    "Arrow": "application/octet-stream",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "Native": "application/octet-stream",
    "Parquet": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
}

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer before it is sent."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Front:
    """ClickHouse's HTTP interface for one user of one engine, and for no web page; an ASGI application."""

    def __init__(self, engine: Engine, user: str, password: str, origin: Origin) -> None:
        self._engine = engine
        self._origin = origin
        self._user = user
        self._password = password
        self._threads = ThreadPoolExecutor(_QUERIES_AT_ONCE, "query")

    async def __call__(self, scope: Mapping[str, Any], receive: _Receive, send: _Send) -> None:
        """Answer one request, as ASGI hands it over."""
        headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        if foreign := self._origin.refusal(headers):
            await _send(scope["method"], _foreign(foreign), send)
            return
        request = await _receive_request(scope, receive)
        answer = await asyncio.get_running_loop().run_in_executor(self._threads, self.answer, request)
        await _send(request.method, answer, send)

    def answer(self, request: Request) -> Response:
        """Return the answer to a request; it blocks while the query runs, and a refusal is an answer too."""
        if request.is_probe:
            return Response(200, b"Ok.\n", {"Content-Type": _TEXT})
        if request.path not in {"/", "/query"}:
            return Response(404, b"There is no handle " + request.path.encode() + b"\n", {"Content-Type": _TEXT})
        asked = request.parameters.get("query_id") or request.headers.get("x-clickhouse-query-id")
        identity = {
            "X-ClickHouse-Query-Id": asked or str(uuid.uuid4()),
            "X-ClickHouse-Server-Display-Name": "sandbox",
            # Would begin and end an error in the middle of an answer. Here an answer begins when its query is over.
            "X-ClickHouse-Exception-Tag": "".join(secrets.choice(ascii_lowercase) for _ in range(_TAG_LETTERS)),
        }
        started = time.perf_counter_ns()
        try:
            self._authenticate(request)
            return self._run(request, read_query(request), identity)
        except ClickHouseError as error:
            text = f"{error}{'' if '(version ' in str(error) else f' (version {self._engine.version})'}\n"
            code = {
                "X-ClickHouse-Exception-Code": str(error.code),
                "Content-Type": _TEXT,
                "X-ClickHouse-Summary": _summary(Result(b""), time.perf_counter_ns() - started),
            }
            return Response(error.status, text.encode(), identity | code)

    def _authenticate(self, request: Request) -> None:
        user, password = credentials(request)
        known = hmac.compare_digest(user.encode(), self._user.encode())
        if not (hmac.compare_digest(password.encode(), self._password.encode()) and known):
            raise refusal(
                516,
                "AUTHENTICATION_FAILED",
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name",
            )

    def _run(self, request: Request, query: Query, identity: Mapping[str, str]) -> Response:
        started = time.perf_counter_ns()
        result = self._engine.run(query)
        body, encoding = _encode(result.body, request)
        headers = {
            **identity,
            **encoding,
            "Content-Type": _CONTENT_TYPES.get(query.output_format, _TEXT),
            "X-ClickHouse-Format": query.output_format,
            "X-ClickHouse-Timezone": self._engine.timezone,
            "X-ClickHouse-Summary": _summary(result, time.perf_counter_ns() - started),
        }
        return Response(200, body, headers)


def _foreign(header: str) -> Response:
    """Return the answer to a request that a web page may have made; its body was not read."""
    text = f"{header}: refused, a web page may have sent this. Programs are answered at the address of this server\n"
    return Response(403, text.encode("latin-1", "replace"), {"Content-Type": _TEXT, "Connection": "close"})


async def _send(method: str, answer: Response, send: _Send) -> None:
    headers = {**answer.headers, "Content-Length": str(len(answer.body))}
    pairs = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})


async def _receive_request(scope: Mapping[str, Any], receive: _Receive) -> Request:
    body = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError
        body.append(message.get("body", b""))
        more = message.get("more_body", False)
    return Request(
        scope["method"],
        scope["path"],
        dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True)),
        {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]},
        b"".join(body),
    )


def _encode(body: bytes, request: Request) -> tuple[bytes, dict[str, str]]:
    if request.parameters.get("compress") == "1":
        return encode_blocks(body), {}
    if request.parameters.get("enable_http_compression") not in {"1", "true"}:
        return body, {}
    encoded, name = encode_body(body, request.headers.get("accept-encoding", ""))
    return encoded, {"Content-Encoding": name} if name else {}


def _summary(result: Result, nanoseconds: int) -> str:
    counts = {
        "read_rows": result.read_rows,
        "read_bytes": result.read_bytes,
        "written_rows": result.written_rows,
        "written_bytes": result.written_bytes,
        "total_rows_to_read": result.read_rows,
        "result_bytes": len(result.body),
        "elapsed_ns": nanoseconds,
    }
    return json.dumps({name: str(count) for name, count in counts.items()})


def serve(engine: Engine, user: str, password: str, host: str, port: int) -> None:
    """Answer until SIGTERM, SIGINT or SIGHUP, then end the process with 0; a running query does not hold it up."""
    # uvicorn closes its connections at SIGTERM and SIGINT, then raises the signal again for the handler that was set
    # before: ours.
    for number in ending_signals():
        signal.signal(number, _leave)
    uvicorn.run(
        Front(engine, user, password, Origin(host)),
        host=host,
        port=port,
        lifespan="off",
        ws="none",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=_CLOSING_SECONDS,
    )


def _leave(*_: object) -> None:
    # Acknowledged rows are in the data folder already; Python would wait here for threads inside the engine.
    os._exit(0)
