"""
The pages `/livez`, `/readyz` and `/metrics`, the same way in all programs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.hdrs import CONTENT_TYPE, RETRY_AFTER

from streams.program.http_bounds import Bounds
from streams.program.http_server import HttpServer

_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Pages:
    """The contents of the pages; each is asked for anew with every request. `metrics` is text in Prometheus' form."""

    live: Callable[[], web.Response]
    ready: Callable[[], web.Response]
    metrics: Callable[[], bytes]


def page_server(pages: Pages, bounds: Bounds | None = None) -> HttpServer:
    """Return a server of these pages, and of nothing else."""

    async def live(_: web.Request) -> web.Response:
        return pages.live()

    async def ready(_: web.Request) -> web.Response:
        return pages.ready()

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=pages.metrics(), headers={CONTENT_TYPE: _PROMETHEUS})

    return HttpServer([web.get("/livez", live), web.get("/readyz", ready), web.get("/metrics", metrics)], bounds)


def fine(text: str) -> web.Response:
    """Return 200 and a line."""
    return web.Response(text=f"{text}\n")


def trouble(*lines: str) -> web.Response:
    """Return 503 and a line for each reason."""
    text = "".join(f"{line}\n" for line in lines)
    return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=text, headers={RETRY_AFTER: "2"})
