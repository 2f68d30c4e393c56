"""
The console put together: feed, news, pages, and the pages for operators, in one process.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from prometheus_client import generate_latest

from console.live.callbacks import Callbacks
from console.live.feed import Feed
from console.live.news import News
from console.live.picture import Picture
from console.metrics import Metrics
from console.pages.app import application
from console.pages.campaigns import words_of
from console.pages.site import Site, Sources, still_in_words
from console.programs.client import Programs
from console.read_api.client import ReadApi
from console.settings import ConsoleSettings
from console.tables.clickhouse import Tables
from console.words.times import Clock
from streams.program.listening import url_of
from streams.program.pages import Pages, fine, page_server, trouble
from streams.program.signals import ending_signals
from streams.program.vitals import Vitals

logger = logging.getLogger(__name__)

_KEPT_SECONDS = 15
"""A tab reads its page again every five seconds: it shall not need a new connection each time."""
_CLOSING_SECONDS = 2
_MOST_REQUESTS = 2_000


class _Server(uvicorn.Server):
    """uvicorn, told of signals by us: streams of live numbers have to end before it does."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


async def serve(settings: ConsoleSettings, pages: socket.socket, admin: socket.socket) -> None:
    """Answer on both sockets until a signal ends it; `pages` and `admin` stay the caller's."""
    picture, metrics = Picture(), Metrics()
    feed, tables, read_api = Feed(settings, picture), Tables(settings), ReadApi(settings)
    programs = Programs(settings)
    clock = Clock(settings.console_time_zone)
    news = News(picture, words_of, read_api.message, lambda: still_in_words(feed, clock))
    site = Site(settings, Sources(picture, feed, tables, read_api, Callbacks(settings), programs), news, metrics)
    server = _Server(
        uvicorn.Config(
            application(site),
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_REQUESTS,
            timeout_graceful_shutdown=_CLOSING_SECONDS,
            timeout_keep_alive=_KEPT_SECONDS,
        )
    )
    told = page_server(operators_pages(site))
    loop = asyncio.get_running_loop()

    def end() -> None:
        server.should_exit = True
        news.close()

    for number in ending_signals():
        loop.add_signal_handler(number, end)
    await told.start(admin)
    logger.info("answering", extra={"pages": url_of(pages), "admin_port": admin.getsockname()[1]})
    with _running(end, asyncio.create_task(feed.run()), asyncio.create_task(news.run())) as tasks:
        await server.serve(sockets=[pages])
    await told.close()
    for source in (tables, read_api, programs):
        await source.close()
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()):
            raise error
    logger.info("stopped")


def operators_pages(site: Site) -> Pages:
    """Return /livez, /readyz and /metrics. It is not ready while Kafka cannot be read."""
    feed, tables, metrics = site.sources.feed, site.sources.tables, site.metrics
    vitals = Vitals("console")

    def shown() -> bytes:
        metrics.viewers.set(site.news.viewers)
        metrics.records.set(feed.records)
        metrics.unreadable.set(feed.unreadable)
        metrics.queries.set(tables.queries)
        metrics.query_failures.set(tables.failures)
        return generate_latest(metrics.registry) + vitals.render()

    def ready() -> list[str]:
        return [line for line in (feed.trouble, tables.trouble) if line]

    return Pages(
        live=lambda: fine("alive"),
        ready=lambda: trouble(*reasons) if feed.trouble and (reasons := ready()) else fine("ready"),
        metrics=shown,
    )


@contextmanager
def _running(end: Callable[[], None], *tasks: asyncio.Task[None]) -> Iterator[tuple[asyncio.Task[None], ...]]:
    """Run tasks beside the block; one that fails ends the program: pages that stand still for ever help no person."""
    for task in tasks:
        task.add_done_callback(lambda _: end())
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
