"""
The pages `/livez`, `/readyz` and `/metrics`, the same way in all programs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.hdrs import CONTENT_TYPE

from streams.program.http_bounds import Bounds
from streams.program.http_server import HttpServer
from streams.program.problems import problem_answer

_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
_READY: Final = """\
# HELP routee_ready Whether /readyz says 200.
# TYPE routee_ready gauge
routee_ready {}
"""


@dataclass(frozen=True, slots=True)
class Pages:
    """
    The contents of the pages; each is asked for anew with every request.

    `metrics` is text in Prometheus' form; the page adds `routee_ready`.
    """

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
        is_ready = _READY.format(int(pages.ready().status == HTTPStatus.OK)).encode()
        return web.Response(body=pages.metrics() + is_ready, headers={CONTENT_TYPE: _PROMETHEUS})

    return HttpServer([web.get("/livez", live), web.get("/readyz", ready), web.get("/metrics", metrics)], bounds)


def fine(text: str) -> web.Response:
    """Return 200 and a line."""
    return web.Response(text=f"{text}\n")


def trouble(*lines: str, **more: object) -> web.Response:
    """Return 503, a problem whose detail has a line for each reason; `more` are further members of it."""
    return problem_answer(HTTPStatus.SERVICE_UNAVAILABLE, "\n".join(lines), retry_after=2, **more)
