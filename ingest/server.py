"""
One server process, put together: listen, serve until told to stop, answer the requests under way, leave.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import ssl
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import uvloop

from ingest.clock import Clock, SystemClock
from ingest.commit.log import CommitLog
from ingest.commit.publisher import Publisher, Terms
from ingest.http.door import Door
from ingest.http.service import Service
from ingest.kafka.log import KafkaCommitLog
from ingest.listener import open_to_connections, take_last_connections
from ingest.metrics import Metrics
from ingest.pages import pages
from ingest.settings import IngestSettings
from ingest.tls import Certificate, tls_context
from streams.program.listening import url_of
from streams.program.pages import page_server
from streams.program.signals import ending_signals

logger = logging.getLogger(__name__)

_LAST_ANSWERS_SECONDS: Final = 5.0


class Sockets(NamedTuple):
    """The listening sockets of a process: for callbacks, and for the pages."""

    callbacks: socket.socket
    pages: socket.socket


def run(settings: IngestSettings, sockets: Sockets, metrics: Metrics, parent: int | None = None) -> None:
    """
    Serve until SIGTERM or SIGINT, or until the process `parent` is gone; then return.

    SIGHUP has the TLS files read again; without TLS it is one of the signals that end the server.

    Raises CannotListenError for unusable TLS files.
    """
    context = tls_context(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, sockets, metrics, context, parent))


async def _serve(
    settings: IngestSettings,
    sockets: Sockets,
    metrics: Metrics,
    context: ssl.SSLContext | None,
    parent: int | None,
) -> None:
    clock = SystemClock()
    log = KafkaCommitLog(settings, clock)
    service = Service(settings, publisher_to(log, settings, metrics, clock), metrics, clock)
    certificate = Certificate(context, settings, clock, metrics.certificate_ends) if context is not None else None
    service.start()
    pages_server, listener = page_server(pages(service)), sockets.callbacks
    async with contextlib.AsyncExitStack() as stack:
        # Begun first and closed last: the pages tell of the start, and of callbacks that wait for their answers.
        stack.callback(sockets.pages.close)
        stack.push_async_callback(pages_server.close)
        await pages_server.start(sockets.pages)
        stack.push_async_callback(log.close)
        stack.push_async_callback(service.stop)
        background = [asyncio.create_task(log.run())]
        if service.allowlist is not None:
            await service.allowlist.refresh()
            background.append(asyncio.create_task(service.allowlist.run()))
        if certificate is not None:
            background.append(asyncio.create_task(certificate.run()))
        stop = _stopped_by_signals(certificate)
        open_to_connections(listener)
        door = Door(service, listener, context)
        door.open()
        logger.info("listening on %s/callbacks", url_of(listener, "http" if context is None else "https"))
        logger.info("pages at %s", url_of(sockets.pages))
        _settle_memory()
        try:
            await _until_stopped(stop, background, parent)
            logger.info("stopping: answering what is under way", extra={"connections": len(service.connections)})
        finally:
            await take_last_connections(listener)
            service.drain()
            door.close()
            await service.connections.wait_until_empty(_LAST_ANSWERS_SECONDS)
            await _cancel(background)
    logger.info("stopped")


def publisher_to(log: CommitLog, settings: IngestSettings, metrics: Metrics, clock: Clock) -> Publisher:
    """Return the publisher that the settings describe."""
    terms = Terms(
        partitions=settings.kafka_partitions,
        flush_seconds=settings.ingest_flush_ms / 1000,
        ack_timeout_seconds=settings.ingest_ack_timeout_ms / 1000,
        max_pending_bytes=settings.ingest_max_pending_bytes,
    )
    return Publisher(log, metrics, terms, clock)


def _stopped_by_signals(certificate: Certificate | None) -> asyncio.Event:
    """Return an event that the signals set which end the server; from now on none of them ends it undrained."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ending_signals():
        loop.add_signal_handler(number, stop.set)
    if certificate is not None:
        loop.add_signal_handler(signal.SIGHUP, certificate.read_again)
    return stop


async def _until_stopped(stop: asyncio.Event, background: Sequence[asyncio.Task[Any]], parent: int | None) -> None:
    """Return when told to stop or when the parent is gone; raises the error that ends a background task."""
    watchers: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait()), asyncio.create_task(_orphaned(parent))]
    try:
        done, _ = await asyncio.wait([*watchers, *background], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await _cancel(watchers)


async def _orphaned(parent: int | None) -> None:
    while parent is None or os.getppid() == parent:  # noqa: ASYNC110 - a change of parent has no event
        await asyncio.sleep(1.0)
    logger.warning("the process that started this worker is gone: stopping")


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _settle_memory() -> None:
    """Hide the present objects from the garbage collector: they stay, and walking them finds nothing."""
    gc.collect()
    gc.freeze()
    # Requests under way are young and alive; reference counts free their remains without a search.
    gc.set_threshold(5_000, 20, 100)
