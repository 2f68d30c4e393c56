"""
Connections of an HTTP server for few clients: how many there are, and how long each may take.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, cast

from aiohttp import web
from aiohttp.hdrs import SERVER

from streams.contract.problems import PROBLEM_JSON, REFUSALS, problem

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LINE_BYTES: Final = 4096
_FIELD_BYTES: Final = 4096
_FIELDS: Final = 48
# The banner of the library names its version and that of Python.
_BANNER: Final = "routee"


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    How many connections are open at once, and the seconds that each may take.

    `first_byte` runs from the beginning of the connection, `request` from the first byte of a request to the end of its
    head, `answer` until the answer is made, and `idle` from then on until the next request: also for a client that
    does not read.
    """

    connections: int = 32
    first_byte_seconds: float = 5.0
    request_seconds: float = 5.0
    answer_seconds: float = 10.0
    idle_seconds: float = 10.0


class Connections:
    """The open connections, the one that has been silent longest first."""

    def __init__(self, most: int, on_lost: Callable[[], object]) -> None:
        self._most = most
        self._on_lost = on_lost
        self._open: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def heard(self, connection: "Connection") -> None:
        """Note that a connection has begun, or has said something."""
        self._open.pop(connection, None)
        self._open[connection] = None

    def lost(self, connection: "Connection") -> None:
        """Forget a connection that has ended."""
        self._open.pop(connection, None)
        self._on_lost()

    def make_room(self) -> None:
        """Close connections until there is room for one more."""
        while len(self._open) >= self._most:
            self.close_one()

    def close_one(self) -> None:
        """Close the connection that has been silent longest; one that waits for its answer only when all do."""
        waiting = next((one for one in self._open if not one.is_answering), None)
        chosen = waiting or next(iter(self._open), None)
        if chosen is not None:
            del self._open[chosen]
            chosen.abort()


class Connection(web.RequestHandler):
    """One client. It is closed when it takes longer than its bounds."""

    __slots__ = ("bounds", "connections", "is_answering", "is_asking", "time_limit")

    def __init__(self, server: web.Server, bounds: Bounds, connections: Connections) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            logger=logger,
            access_log=None,  # type: ignore[arg-type]  # None is its way to log no requests
            keepalive_timeout=bounds.idle_seconds,
            lingering_time=0.0,
            max_line_size=_LINE_BYTES,
            max_field_size=_FIELD_BYTES,
            max_headers=_FIELDS,
        )
        self.bounds = bounds
        self.connections = connections
        self.is_asking = self.is_answering = False
        self.time_limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: the first byte is awaited."""
        self.connections.heard(self)
        super().connection_made(transport)
        self.allow(self.bounds.first_byte_seconds)

    def data_received(self, data: bytes) -> None:
        """Read; the first bytes of a request start its time."""
        self.connections.heard(self)
        if not self.is_asking:
            self.is_asking = True
            self.allow(self.bounds.request_seconds)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self.connections.lost(self)
        self.allow(None)
        super().connection_lost(exc)

    def begin_answer(self) -> None:
        """A request is there: its answer is being made."""
        self.is_answering = True
        self.allow(self.bounds.answer_seconds)

    def end_answer(self) -> None:
        """The answer is made; the client has to read it, and may ask again."""
        self.is_asking = self.is_answering = False
        self.allow(self.bounds.idle_seconds)

    def allow(self, seconds: float | None) -> None:
        """Have the connection closed after so many seconds, in place of the limit before; None has no limit."""
        if self.time_limit is not None:
            self.time_limit.cancel()
        self.time_limit = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self.abort)

    def abort(self) -> None:
        """Close at once: a client that does not read would keep a patient close waiting."""
        if self.transport is not None:
            self.transport.abort()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; to an expectation that is not known, the library gives its own, which repeats it."""
        if resp.status == HTTPStatus.EXPECTATION_FAILED:
            told = problem(resp.status, REFUSALS[resp.status])
            resp = web.Response(status=resp.status, body=told, content_type=PROBLEM_JSON)
            resp.force_close()
        return await super().finish_response(request, resp, start_time)

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - the library's signature
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - the same
    ) -> web.StreamResponse:
        """Answer a request that is none, without a log line, or one whose answer failed. Nothing of it is repeated."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.error("a request failed", exc_info=exc)
        detail = (
            "the answer failed; the log says why"
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR
            else "no request of HTTP"
        )
        answer = web.Response(status=status, body=problem(status, detail), content_type=PROBLEM_JSON)
        answer.headers[SERVER] = _BANNER
        answer.force_close()
        return answer


@web.middleware
async def bounded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell the connection when an answer is made, and refuse a body: no request of ours has one."""
    connection = cast("Connection", request.protocol)
    connection.begin_answer()
    try:
        if request.body_exists:
            refused = web.Response(
                status=413, body=problem(413, "a request has no body here"), content_type=PROBLEM_JSON
            )
            refused.force_close()
            return refused
        return await handler(request)
    finally:
        connection.end_answer()


async def without_versions(_request: web.Request, response: web.StreamResponse) -> None:
    """Name no version in an answer."""
    response.headers[SERVER] = _BANNER
