"""
The addresses of the console.
"""

from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from console.pages.campaign import CampaignPage
from console.pages.campaigns import CampaignsPage
from console.pages.events import EventStream
from console.pages.health import HealthPage
from console.pages.login import LoginPage
from console.pages.message import MessagePage
from console.pages.refused import RefusedPage
from console.pages.routes import RoutesPage
from console.pages.search import SearchPage
from console.pages.shared import Shared
from console.pages.site import Site
from console.safety.gate import Gate

_TITLES: Final = {404: "Nothing is at this address"}


def application(site: Site) -> ASGIApp:
    """Return the console as an ASGI application, behind its gate."""
    login = LoginPage(site)
    pages = Starlette(
        routes=[
            Route("/", Shared(CampaignsPage(site), site.news).__call__),
            Route("/campaigns/", _to("/")),
            Route("/campaigns/{key:path}", Shared(CampaignPage(site), site.news).__call__),
            Route("/routes", Shared(RoutesPage(site), site.news).__call__),
            Route("/search", Shared(SearchPage(site), site.news).__call__),
            Route("/messages/", _to("/search")),
            Route("/messages/{key:path}", Shared(MessagePage(site), site.news).__call__),
            Route("/refused", Shared(RefusedPage(site), site.news).__call__),
            Route("/health", Shared(HealthPage(site), site.news).__call__),
            Route("/events", EventStream(site).__call__),
            Route("/login", login.form, methods=["GET"]),
            Route("/login", login.enter, methods=["POST"]),
            Route(f"/static/{site.files.digest}/{{name:path}}", site.files.__call__),
        ],
        exception_handlers={HTTPException: _told(site), Exception: _failed(site)},
    )
    return Gate(pages, site.people, site.settings.proxies, site.settings.host)


def _to(place: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - Starlette's type of handlers is wider than ours
    async def answer(_: Request) -> Response:
        return RedirectResponse(place)

    return answer


def _told(site: Site):  # type: ignore[no-untyped-def]  # noqa: ANN202 - Starlette's type of handlers is wider than ours
    async def answer(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        title = _TITLES.get(status, "This cannot be answered")
        return site.bare("error.html", status, title=title, what="The places of the console are on its first page.")

    return answer


def _failed(site: Site):  # type: ignore[no-untyped-def]  # noqa: ANN202 - the same
    async def answer(_: Request, __: Exception) -> Response:
        # The server logs the error, without the address, which may hold a number.
        return site.bare("error.html", 500, title="This page failed", what="The log of the console says why.")

    return answer
