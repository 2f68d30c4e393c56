"""
`/livez`, `/readyz` and `/metrics`: an event loop on a thread of its own, since the loop of the worker waits for Kafka.
"""

import asyncio
import socket
import threading
from concurrent.futures import Future

from prometheus_client import CollectorRegistry, generate_latest

from sinks.metrics import Readiness
from sinks.settings import SinksSettings
from streams.program.listening import Endpoint
from streams.program.pages import Pages, fine, page_server, trouble
from streams.program.vitals import Vitals


class StatusServer:
    """Answers on a listening socket, which it closes, until it is closed itself."""

    def __init__(self, bound: socket.socket, registry: CollectorRegistry, readiness: Readiness, vitals: Vitals) -> None:
        self._bound = bound
        self._pages = pages(registry, readiness, vitals)
        self._begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=self._run, name="pages", daemon=True)
        self._thread.start()
        self._loop, self._stop = self._begun.result()

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return int(self._bound.getsockname()[1])

    def close(self) -> None:
        """Stop answering; returns when the thread has ended."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._bound.close()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        server, stop = page_server(self._pages), asyncio.Event()
        try:
            await server.start(self._bound)
        except BaseException as error:
            self._begun.set_exception(error)
            raise
        self._begun.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()
        await server.close()


def pages(registry: CollectorRegistry, readiness: Readiness, vitals: Vitals) -> Pages:
    """Return what the pages say."""
    return Pages(
        live=lambda: fine("alive"),
        ready=lambda: trouble(*reasons) if (reasons := readiness.reasons) else fine("ready"),
        metrics=lambda: generate_latest(registry) + vitals.render(),
    )


def endpoint(settings: SinksSettings) -> Endpoint:
    """Return where the pages are."""
    return Endpoint("SINKS_ADMIN", settings.sinks_admin_host, settings.sinks_admin_port)
