"""
The pull API over HTTP, beside the sender: the token endpoint and the tracking endpoints on one port of the loopback.
"""

import asyncio
import time
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from itertools import cycle
from typing import Any, Final

import orjson
from aiohttp import web

from sandbox.emulator.pull import objects
from sandbox.emulator.pull.books import Books
from sandbox.emulator.pull.options import PullOptions, Trouble
from sandbox.emulator.pull.queries import QueryError, date_range, matching, paging
from sandbox.emulator.pull.tokens import Tokens
from sandbox.emulator.traffic.chance import stream
from sandbox.emulator.traffic.model import StatusCallback

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HOST: Final = "127.0.0.1"
_RETRY_AFTER_SECONDS: Final = 1


class PullApi:
    """
    Serves what the books know. `asked` counts the requests by path, `troubles` are the next answers to go wrong.

    A row that moves does so between two pages of one list: the last row becomes the first one.
    """

    def __init__(
        self, books: Books, options: PullOptions, seed: int = 0, clock: Callable[[], float] = time.time
    ) -> None:
        self.asked: Counter[str] = Counter()
        self.times: list[float] = []
        """The moment of each request but those for tokens, by the loop's clock."""
        self.troubles: deque[Trouble] = deque()
        self.url = ""
        self._books = books
        self._options = options
        self._clock = clock
        self._tokens = Tokens(options.token_seconds, clock)
        self._random = stream(seed, "pull")
        self._kinds = cycle(Trouble)
        self._moves = options.moves
        self._shifted = 0
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        """Serve on a port of the loopback, 0 for a free one; `url` is its base. Raises OSError."""
        application = web.Application(middlewares=[self._guarded])
        application.add_routes(
            [
                web.post("/oauth/token", self._token),
                web.get("/sms/tracking/single/{id}", self._single),
                web.get("/sms/tracking/campaign/{id}", self._campaign),
                web.post("/sms/tracking", self._range),
                web.get("/campaigns/{id}", self._details),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, _HOST, port)
        await site.start()
        self.url = f"http://{_HOST}:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Stop serving."""
        if self._runner:
            await self._runner.cleanup()

    def revoke_token(self) -> None:
        """End the running token: the next request with it is answered 401."""
        self._tokens.revoke()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        route = request.match_info.route.resource
        self.asked[route.canonical if route else request.path] += 1
        if request.path == "/oauth/token":
            return await handler(request)
        self.times.append(asyncio.get_running_loop().time())
        if (refused := self._refused(request)) is not None:
            return refused
        trouble = self._trouble()
        if trouble is not None and trouble not in {Trouble.SLOW, Trouble.CUT}:
            return _refusal(trouble)
        try:
            answer = await handler(request)
        except QueryError as error:
            return _answer(400, objects.error("400005000", str(error)))
        return await self._hampered(request, answer, trouble)

    def _refused(self, request: web.Request) -> web.Response | None:
        if not self._options.allowed:
            return _refusal(Trouble.FORBIDDEN)
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not self._tokens.is_good(token):
            return _refusal(Trouble.UNAUTHORIZED)
        latest = self.times[-1] - 1
        if sum(moment > latest for moment in self.times[-1000:]) > self._options.requests_per_second:
            return _refusal(Trouble.TOO_MANY)
        return None

    def _trouble(self) -> Trouble | None:
        if self.troubles:
            return self.troubles.popleft()
        return next(self._kinds) if self._random.random() < self._options.troubles else None

    async def _hampered(
        self, request: web.Request, answer: web.StreamResponse, trouble: Trouble | None
    ) -> web.StreamResponse:
        if trouble is Trouble.SLOW:
            await asyncio.sleep(self._options.slow_seconds)
        if trouble is not Trouble.CUT:
            return answer
        body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
        cut = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
        await cut.prepare(request)
        await cut.write(body[: len(body) // 2])
        if request.transport:
            request.transport.close()
        return cut

    async def _token(self, request: web.Request) -> web.Response:
        options = self._options
        given = f"{options.application_id}:{options.application_secret}".encode()
        asked = await request.post()
        if asked.get("grant_type") != "client_credentials":
            return _answer(400, {"error": "unsupported_grant_type"})
        if request.headers.get("Authorization") != "Basic " + b64encode(given).decode():
            return _answer(401, {"error": "unauthorized", "error_description": "Bad credentials"})
        token, seconds = self._tokens.give()
        return _answer(
            200,
            {
                "access_token": token,
                "token_type": "bearer",
                "expires_in": seconds,
                "scope": "contact sms report account",
                "permissions": ["MT_ROLE_SMS", "MT_ROLE_REPORT"],
            },
        )

    async def _single(self, request: web.Request) -> web.Response:
        entries = self._books.of_message(request.match_info["id"])
        if not entries:
            return _answer(404, objects.error("404005000", "Tracking not found"))
        return _answer(200, [objects.tracking(entry, self._options, in_list=False) for entry in entries])

    async def _campaign(self, request: web.Request) -> web.Response:
        tracking_id = request.match_info["id"]
        if self._books.campaign(tracking_id) is None:
            return _answer(404, objects.error("404005000", "Tracking not found"))
        return self._page(request, self._books.of_campaign(tracking_id))

    async def _range(self, request: web.Request) -> web.Response:
        begin, end = date_range(request.query, self._clock())
        entries = self._books.between(begin, end, self._options.dates)
        if "trackingId" in request.query:
            wanted = request.query["trackingId"]
            entries = [
                entry for entry in entries if entry.message.campaign and entry.message.campaign.tracking_id == wanted
            ]
        if request.query.get("campaign") == "true":
            entries = [entry for entry in entries if entry.message.campaign]
        return self._page(request, matching(entries, await request.read()))

    async def _details(self, request: web.Request) -> web.Response:
        campaign = self._books.campaign(request.match_info["id"])
        if campaign is None:
            return _answer(404, objects.error("404009001", "Campaign not found"))
        return _answer(200, objects.campaign_details(self._books.report(campaign)))

    def _page(self, request: web.Request, entries: list[StatusCallback]) -> web.Response:
        number, size = paging(request.query)
        if (number + 1) * size > self._options.deepest_row and len(entries) > self._options.deepest_row:
            return _answer(500, objects.error("500005000", "too deep a page"))
        entries = self._moved(entries, number)
        rows = [
            objects.tracking(entry, self._options, in_list=True)
            for entry in entries[number * size : (number + 1) * size]
        ]
        return _answer(200, objects.page(rows, len(entries), number, size))

    def _moved(self, entries: list[StatusCallback], number: int) -> list[StatusCallback]:
        """Let the last row jump to the front before each page but the first, while moves are left."""
        if number == 0:
            self._shifted = 0
        elif self._moves:
            self._moves -= 1
            self._shifted += 1
        cut = len(entries) - self._shifted
        return entries[cut:] + entries[:cut] if 0 < self._shifted < len(entries) else entries


def _answer(status: int, body: Any) -> web.Response:  # noqa: ANN401 - JSON is any
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


def _refusal(trouble: Trouble) -> web.Response:
    answer = _answer(int(trouble), objects.error(f"{trouble}000000", trouble.name.lower()))
    if trouble is Trouble.TOO_MANY:
        answer.headers["Retry-After"] = str(_RETRY_AFTER_SECONDS)
    return answer
