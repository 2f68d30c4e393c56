"""
Read-only HTTP: health, metrics, and answers from the rows.

A small server of our own: Faust's has pages that show every table, and answers only after recovery.

The owner of a partition answers for its messages and campaigns; any other worker forwards the request to the owner.
The key of an SMS does not name its partition: a worker searches its own partitions and asks all other workers. The
answer is "unknown" only when every partition was searched; during a takeover it is "ask again" (503 with Retry-After).
Answers include changes that become durable with the next flush.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic
from typing import Any, Final

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, web
from aiohttp.hdrs import RETRY_AFTER
from mode import Service
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from streams.app import StreamsApp
from streams.contract.keys import KEY_MAX_CHARS, partition_of
from streams.contract.topics import CAMPAIGN_PARTIALS
from streams.domain.stage import Output, Rows
from streams.domain.views import campaign_key, campaign_view, find_sms, message_key, message_view
from streams.health import StuckWatch, durables, lags, stuck_partitions
from streams.runtime import private_names
from streams.runtime.table import CheckpointedTable

logger = logging.getLogger(__name__)

_WATCH_SECONDS: Final = 1.0
_FORWARD_TIMEOUT: Final = ClientTimeout(total=2.0)
_FORWARDED: Final = "X-Routee-Forwarded"

View = Callable[[Rows, bytes], dict[str, Any] | None]


class WebServer(Service):
    """Serves on a bound socket, from before recovery until after the last flush."""

    logger = private_names.FAUST_LOGGER

    def __init__(self, app: StreamsApp, registry: CollectorRegistry, bound: socket.socket) -> None:
        super().__init__()
        self._app = app
        self._registry = registry
        self._bound = bound
        self._watch = StuckWatch()
        self._stuck: list[str] = []
        self._runner = web.AppRunner(self._routes(), access_log=None)
        self._peers: ClientSession | None = None

    def _routes(self) -> web.Application:
        application = web.Application()
        application.add_routes(
            [
                web.get("/livez", self.live),
                web.get("/readyz", self.ready),
                web.get("/metrics", self.metrics),
                web.get("/sms/{key}", self.sms),
                web.get("/messages/{key}", self.message),
                web.get("/campaigns/{key}", self.campaign),
            ]
        )
        return application

    async def on_start(self) -> None:
        """Begin to serve."""
        self._peers = ClientSession(timeout=_FORWARD_TIMEOUT)
        await self._runner.setup()
        await web.SockSite(self._runner, self._bound).start()

    async def on_stop(self) -> None:
        """Stop serving."""
        await self._runner.cleanup()
        if self._peers is not None:
            await self._peers.close()

    @Service.task
    async def _keep_watch(self) -> None:
        while not self.should_stop:
            self._watch.observe(durables(self._app), lags(self._app), monotonic())
            stuck = await stuck_partitions(self._app, self._watch)
            if stuck and stuck != self._stuck:
                logger.error("partitions have had records for a minute and do not move: %s", ", ".join(stuck))
            self._stuck = stuck
            await self.sleep(_WATCH_SECONDS)

    async def live(self, _request: web.Request) -> web.Response:
        """Answer 503 when a partition has had records for a minute and did not move: a restart may help."""
        return _json({"stuck": self._stuck}, 503 if self._stuck else 200)

    async def ready(self, _request: web.Request) -> web.Response:
        """Answer 503 before the first assignment, and during a takeover."""
        ready = self._app.is_ready
        owned = {table.name: sorted(table.checkpointer.owned) for table in self._app.checkpointed}
        return _json({"ready": ready, "partitions": owned}, 200 if ready else 503)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Answer with the metrics in Prometheus' text format."""
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def sms(self, request: web.Request) -> web.Response:
        """Answer with an SMS, from the partitions of any worker."""
        key = request.match_info["key"]
        self._app.pulse.check_pause()
        owned = self._app.sms.checkpointer.owned
        for mine in owned.values():
            found = find_sms(mine.partition.rows, key)
            if found is not None:
                return _json(found)
        return await self._search_others(request, set(owned))

    async def _search_others(self, request: web.Request, searched: set[int]) -> web.Response:
        """Ask every other worker. `searched` are the partitions searched without success so far."""
        if _FORWARDED not in request.headers:
            owners = private_names.owner_urls(self._app, self._app.sms.checkpointer.changelog)
            own = str(self._app.conf.canonical_url)
            answers = asyncio.gather(*(self._ask(request, owner) for owner in owners if owner != own))
            for answer in await answers:
                if answer is not None and answer.status == HTTPStatus.OK:
                    return answer
                searched |= _searched(answer)
        missing = set(range(self._app.conf.topic_partitions)) - searched
        if missing and _FORWARDED not in request.headers:
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
        return _unknown() if found is None else _json(found)

    async def _ask_owner(self, request: web.Request, table: CheckpointedTable, partition: int) -> web.Response:
        owner = private_names.owner_url(self._app, table.checkpointer.changelog, partition)
        own = str(self._app.conf.canonical_url)
        if owner is None or owner == own or _FORWARDED in request.headers:
            return _ask_again(f"partition {partition} is being taken over")
        answer = await self._ask(request, owner)
        return _ask_again(f"the owner of partition {partition} does not answer") if answer is None else answer

    async def _ask(self, request: web.Request, owner: str) -> web.Response | None:
        """Forward a request to another worker; return its answer, None when it does not answer."""
        headers = {_FORWARDED: str(self._app.conf.canonical_url)}
        try:
            async with self._session.get(owner + request.raw_path, headers=headers) as answer:
                retry = {name: answer.headers[name] for name in (RETRY_AFTER,) if name in answer.headers}
                body = await answer.read()
                return web.Response(body=body, status=answer.status, content_type="application/json", headers=retry)
        except (ClientError, TimeoutError):
            return None

    @property
    def _session(self) -> ClientSession:
        if self._peers is None:
            raise RuntimeError("on_start() comes first")
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


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def _unknown() -> web.Response:
    return _json({"error": "unknown"}, HTTPStatus.NOT_FOUND)
