"""
The two HTTP servers of a worker: its pages, and the read API. Each has an address of its own.

Small servers of our own: Faust's has pages that show every table, and answers only after recovery.
"""

import logging
import socket
from time import monotonic
from typing import Final, NamedTuple

import orjson
from aiohttp import web
from mode import Service
from prometheus_client import CollectorRegistry, generate_latest

from streams.app import StreamsApp
from streams.health import LagAges, StuckWatch, date_lags, durables, lags, reached, stuck_partitions
from streams.program.origin import Origin
from streams.program.pages import Pages, page_server, trouble
from streams.program.vitals import Vitals
from streams.read_api.routes import ReadApi
from streams.readers import Readers
from streams.runtime import private_names

logger = logging.getLogger(__name__)

_WATCH_SECONDS: Final = 1.0


class Sockets(NamedTuple):
    """The listening sockets of a worker: for the pages, and for the read API."""

    pages: socket.socket
    answers: socket.socket


class WebServer(Service):
    """Serves on bound sockets, from before recovery until after the last flush."""

    logger = private_names.FAUST_LOGGER

    def __init__(  # noqa: PLR0913, PLR0917 - what a worker shows, handed over once
        self,
        app: StreamsApp,
        registry: CollectorRegistry,
        vitals: Vitals,
        ages: LagAges,
        readers: Readers,
        sockets: Sockets,
    ) -> None:
        super().__init__()
        self._ages = ages
        self._app = app
        self._sockets = sockets
        self._watch = StuckWatch()
        self._stuck: list[str] = []
        own = Origin(sockets.answers.getsockname()[0], str(app.conf.canonical_url.host))
        self._api = ReadApi(app, readers, registry, own)
        self._pages = page_server(Pages(self.live, self.ready, lambda: generate_latest(registry) + vitals.render()))

    async def on_start(self) -> None:
        """Begin to serve."""
        await self._pages.start(self._sockets.pages)
        await self._api.peers.open()
        await self._api.server.start(self._sockets.answers)

    async def on_stop(self) -> None:
        """Stop serving."""
        await self._api.server.close()
        await self._api.peers.close()
        await self._pages.close()

    @Service.task
    async def _keep_watch(self) -> None:
        while not self.should_stop:
            self._watch.observe(durables(self._app), lags(self._app), monotonic())
            stuck = await stuck_partitions(self._app, self._watch)
            if stuck and stuck != self._stuck:
                logger.error("partitions have had records for a minute and do not move: %s", ", ".join(stuck))
            self._stuck = stuck
            await self.sleep(_WATCH_SECONDS)

    @Service.task
    async def _keep_ages(self) -> None:
        while not self.should_stop:
            self._ages.observe(reached(self._app))
            await date_lags(self._app, self._ages)
            await self.sleep(_WATCH_SECONDS)

    def live(self) -> web.Response:
        """Return 503 when a partition has had records for a minute and did not move: a restart may help."""
        if self._stuck:
            return trouble(f"stuck for a minute: {', '.join(self._stuck)}", stuck=self._stuck)
        return _json({"stuck": []})

    def ready(self) -> web.Response:
        """Return 503 before the first assignment, and during a takeover."""
        owned = {table.name: sorted(table.checkpointer.owned) for table in self._app.checkpointed}
        if not self._app.is_ready:
            return trouble("partitions are being taken over", ready=False, partitions=owned)
        return _json({"ready": True, "partitions": owned})


def _json(body: object) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")
