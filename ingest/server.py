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
from typing import Any, Final

import uvloop

from ingest.clock import Clock, SystemClock
from ingest.commit.log import CommitLog
from ingest.commit.publisher import Publisher, Terms
from ingest.errors import CannotListenError
from ingest.http.connection import Connection
from ingest.http.service import Service
from ingest.kafka.log import KafkaCommitLog
from ingest.metrics import Metrics
from ingest.settings import IngestSettings
from ingest.tls import Certificate, tls_context
from streams.program.signals import ending_signals

logger = logging.getLogger(__name__)

_BACKLOG: Final = 2048
_LAST_ANSWERS_SECONDS: Final = 5.0


def bind(settings: IngestSettings, *, shared: bool = False) -> socket.socket:
    """
    Return a socket bound to the configured address; `shared` lets more of our sockets be bound to it.

    Raises CannotListenError, in one line for people.
    """
    host, port = settings.ingest_host, settings.ingest_port
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with contextlib.ExitStack() as unless_bound:
            bound = unless_bound.enter_context(socket.socket(family, kind))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(address)
            bound.listen(_BACKLOG)
            unless_bound.pop_all()
    except OSError as error:
        raise CannotListenError(f"cannot listen on INGEST_HOST={host} INGEST_PORT={port}: {error.strerror}") from error
    return bound


def run(settings: IngestSettings, listener: socket.socket, metrics: Metrics, parent: int | None = None) -> None:
    """
    Serve until SIGTERM or SIGINT, or until the process `parent` is gone; then return.

    SIGHUP has the TLS files read again; without TLS it is one of the signals that end the server.

    Raises TopicsDifferError when the topics cannot be used, CannotListenError for unusable TLS files.
    """
    context = tls_context(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, listener, metrics, context, parent))


async def _serve(
    settings: IngestSettings,
    listener: socket.socket,
    metrics: Metrics,
    context: ssl.SSLContext | None,
    parent: int | None,
) -> None:
    clock = SystemClock()
    log = KafkaCommitLog(settings, clock)
    service = Service(settings, publisher_to(log, settings, metrics, clock), metrics, clock)
    certificate = Certificate(context, settings, clock) if context is not None else None
    service.start()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(log.close)
        stack.push_async_callback(service.stop)
        background = [asyncio.create_task(log.run())]
        if service.allowlist is not None:
            await service.allowlist.refresh()
            background.append(asyncio.create_task(service.allowlist.run()))
        if certificate is not None:
            background.append(asyncio.create_task(certificate.run()))
        stop = _stopped_by_signals(certificate)
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(service), sock=listener, backlog=_BACKLOG, ssl=context
        )
        logger.info("listening on %s", address_of(listener, tls=context is not None))
        _settle_memory()
        try:
            await _until_stopped(stop, background, parent)
            logger.info("stopping: answering what is under way", extra={"connections": len(service.connections)})
        finally:
            service.drain()
            server.close()
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


def address_of(listener: socket.socket, *, tls: bool) -> str:
    """Return where a socket listens, as a URL without the secret."""
    host, port = listener.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/callbacks"


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
