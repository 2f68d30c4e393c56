"""
The read API: answers from the rows, for readers with a token.

The owner of a partition answers for its messages and campaigns; any other worker forwards the request to the owner.
The key of an SMS does not name its partition: a worker searches its own partitions and asks all other workers. The
answer is "unknown" only when every partition was searched; during a takeover it is "ask again" (503 with Retry-After).
Answers include changes that become durable with the next flush. Workers give each other whole answers: the one that
was asked first knows its reader, and masks.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web
from aiohttp.hdrs import AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE
from aiohttp.typedefs import Middleware
from prometheus_client import CollectorRegistry, Counter

from streams.app import StreamsApp
from streams.contract.keys import KEY_MAX_CHARS, partition_of
from streams.contract.topics import CAMPAIGN_PARTIALS
from streams.domain.masked_views import masked
from streams.domain.stage import Output, Rows
from streams.domain.views import campaign_key, campaign_view, find_sms, message_key, message_view
from streams.program.http_bounds import Bounds, Handler
from streams.program.http_server import HttpServer
from streams.program.origin import Origin
from streams.readers import LOCAL, Reader, Readers
from streams.runtime import private_names
from streams.runtime.table import CheckpointedTable

logger = logging.getLogger(__name__)

_FORWARD_TIMEOUT: Final = ClientTimeout(total=2.0)
# Less than a worker keeps an idle connection open.
_IDLE_SECONDS: Final = 5.0
_FORWARDED: Final = "X-Routee-Forwarded"
_READER: Final = web.RequestKey("reader", Reader)
# Readers, and all other workers for theirs.
_BOUNDS: Final = Bounds(connections=128)

View = Callable[[Rows, bytes], dict[str, Any] | None]


class ReadApi:
    """Answers about SMS, messages and campaigns, to readers."""

    def __init__(self, app: StreamsApp, readers: Readers, registry: CollectorRegistry, own: Origin) -> None:
        self._app = app
        self._own = own
        self._readers = readers
        self._peers: ClientSession | None = None
        self._told: set[int] = set()
        self._reads = Counter(
            "routee_streams_reads", "Requests of readers, by the name of their token.", ["reader"], registry=registry
        )
        self._refused = Counter(
            "routee_streams_refused_reads",
            "Requests without a token that counts, or from a web page where none is needed.",
            registry=registry,
        )
        for name in readers.names:
            self._reads.labels(name)
        routes = [
            web.get("/sms/{key}", self.sms),
            web.get("/messages/{key}", self.message),
            web.get("/campaigns/{key}", self.campaign),
        ]
        self.server = HttpServer(routes, _BOUNDS, self._gate())

    async def open(self) -> None:
        """Be able to ask other workers."""
        self._peers = ClientSession(
            timeout=_FORWARD_TIMEOUT, connector=TCPConnector(keepalive_timeout=_IDLE_SECONDS), trust_env=False
        )

    async def close(self) -> None:
        """End the connections to other workers."""
        if self._peers is not None:
            await self._peers.close()

    def _gate(self) -> Middleware:
        @web.middleware
        async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._authorize(request, handler)

        return gate

    async def _authorize(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer 401 to a stranger, for every path, and 403 to a web page that needs no token."""
        reader = self._readers.recognize(request.headers.get(AUTHORIZATION, ""))
        if reader is None:
            self._refused.inc()
            refused = _json({"error": "a token is needed"}, HTTPStatus.UNAUTHORIZED)
            refused.headers[WWW_AUTHENTICATE] = "Bearer"
            return refused
        fields = ((name.lower(), value) for name, value in request.headers.items())
        if self._readers.is_open and (foreign := self._own.refusal(fields)):
            self._refused.inc()
            told = f"{foreign}: refused, a web page may have sent this. Set STREAMS_READ_TOKENS, or ask for loopback"
            return _json({"error": told}, HTTPStatus.FORBIDDEN)
        if reader.name in self._readers.names and not reader.is_worker:
            self._reads.labels(reader.name).inc()
        request[_READER] = reader
        return await handler(request)

    async def sms(self, request: web.Request) -> web.Response:
        """Answer with an SMS, from the partitions of any worker."""
        key = request.match_info["key"]
        self._app.pulse.check_pause()
        owned = self._app.sms.checkpointer.owned
        for mine in owned.values():
            found = find_sms(mine.partition.rows, key)
            if found is not None:
                return _answer(request, found)
        return await self._search_others(request, set(owned))

    async def _search_others(self, request: web.Request, searched: set[int]) -> web.Response:
        """Ask every other worker. `searched` are the partitions searched without success so far."""
        if not _is_forwarded(request):
            owners = private_names.owner_urls(self._app, self._app.sms.checkpointer.changelog)
            own = str(self._app.conf.canonical_url)
            answers = asyncio.gather(*(self._ask(request, owner) for owner in owners if owner != own))
            for answer in await answers:
                if answer is not None and answer.status == HTTPStatus.OK:
                    return answer
                searched |= _searched(answer)
        missing = set(range(self._app.conf.topic_partitions)) - searched
        if missing and not _is_forwarded(request):
            return _ask_again(f"partitions {sorted(missing)} are being taken over")
        return _json({"error": "unknown", "searched": sorted(searched)}, HTTPStatus.NOT_FOUND)

    async def message(self, request: web.Request) -> web.Response:
        """Answer with a message and its parts."""
        key = request.match_info["key"]
        if not 0 < len(key) <= KEY_MAX_CHARS:
            return _unknown()
        partition = partition_of(key, self._app.conf.topic_partitions)
        return await self._answer(request, self._app.sms, partition, message_key(key), message_view)

    async def campaign(self, request: web.Request) -> web.Response:
        """Answer with the progress of a campaign."""
        key = request.match_info["key"]
        row_key = campaign_key(key)
        partition = self._app.routing.partition(Output(CAMPAIGN_PARTIALS, key.lower().encode(), b""), 0)
        return await self._answer(request, self._app.campaigns, partition, row_key, campaign_view)

    async def _answer(
        self, request: web.Request, table: CheckpointedTable, partition: int, key: bytes, view: View
    ) -> web.Response:
        self._app.pulse.check_pause()
        owned = table.checkpointer.owned.get(partition)
        if owned is None:
            return await self._ask_owner(request, table, partition)
        found = view(owned.partition.rows, key)
        return _unknown() if found is None else _answer(request, found)

    async def _ask_owner(self, request: web.Request, table: CheckpointedTable, partition: int) -> web.Response:
        owner = private_names.owner_url(self._app, table.checkpointer.changelog, partition)
        own = str(self._app.conf.canonical_url)
        if owner is None or owner == own or _is_forwarded(request):
            return _ask_again(f"partition {partition} is being taken over")
        answer = await self._ask(request, owner)
        return _ask_again(f"the owner of partition {partition} does not answer") if answer is None else answer

    async def _ask(self, request: web.Request, owner: str) -> web.Response | None:
        """Forward a request to another worker; return its answer as the reader may see it, None without an answer."""
        headers = {_FORWARDED: str(self._app.conf.canonical_url)}
        if self._readers.worker_token:
            headers[AUTHORIZATION] = f"Bearer {self._readers.worker_token}"
        try:
            async with self._session.get(owner + request.raw_path, headers=headers) as answer:
                if answer.status == HTTPStatus.OK:
                    return _answer(request, orjson.loads(await answer.read()))
                if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE):
                    retry = {name: answer.headers[name] for name in (RETRY_AFTER,) if name in answer.headers}
                    body = await answer.read()
                    return web.Response(body=body, status=answer.status, content_type="application/json", headers=retry)
                if answer.status not in self._told:
                    self._told.add(answer.status)
                    logger.error("another worker refuses to answer this one", extra={"status": answer.status})
        except (ClientError, TimeoutError):
            pass
        return None

    @property
    def _session(self) -> ClientSession:
        if self._peers is None:
            raise RuntimeError("open() comes first")
        return self._peers


def _searched(answer: web.Response | None) -> set[int]:
    """Return the partitions that another worker searched without success."""
    if answer is None or answer.status != HTTPStatus.NOT_FOUND or not isinstance(answer.body, bytes):
        return set()
    return set(orjson.loads(answer.body).get("searched", ()))


def _ask_again(error: str) -> web.Response:
    response = _json({"error": error}, HTTPStatus.SERVICE_UNAVAILABLE)
    response.headers[RETRY_AFTER] = "1"
    return response


def _answer(request: web.Request, view: dict[str, Any]) -> web.Response:
    """Return a view as the reader may see it."""
    return _json(view if request[_READER].sees_all else masked(view))


def _is_forwarded(request: web.Request) -> bool:
    """Return whether another worker asks, who asks all others by itself. A stranger's word for it does not count."""
    return _FORWARDED in request.headers and (request[_READER].is_worker or request[_READER] is LOCAL)


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def _unknown() -> web.Response:
    return _json({"error": "unknown"}, HTTPStatus.NOT_FOUND)
