"""
The gate before every page: the host that was asked for, the person, and the headers of the answer.

A page of another site can send a browser here. It learns nothing: the host has to be ours (against a name that is
pointed at loopback), the cookie is not sent from there, and data is given to our own pages only.
"""

import re
from collections.abc import Callable, Mapping
from time import time
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.safety import cookies
from console.safety.headers import PRIVATE, SAFE
from console.safety.people import LOCAL, People, Person
from console.safety.proxies import Proxies

_PORT: Final = re.compile(r":\d+\Z")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_OPEN_PATHS: Final = ("/static/", "/login")
_NAVIGATES: Final = frozenset({"", "navigate"})
_OWN_SITE: Final = frozenset({"", "same-origin", "none"})
_METHODS: Final = frozenset({"GET", "HEAD"})


class Gate:
    """Lets requests of people through, each with its `person` in the scope, and sends others to the login."""

    def __init__(
        self,
        app: ASGIApp,
        people: People,
        proxies: Proxies | None,
        host: str | None,
        now: Callable[[], float] = time,
    ) -> None:
        self._app = app
        self._people = people
        self._proxies = proxies
        self._hosts = _LOOPBACK | ({host.lower()} if host else set())
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            return
        answer = self._refusal(scope)
        await (answer or self._app)(scope, receive, _with_headers(send, scope["path"]))

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        """Return the answer to a request that goes no further, None for one that does."""
        headers = Headers(scope=scope)
        if foreign := self._foreign(scope, headers):
            return foreign
        if scope["path"].startswith(_OPEN_PATHS):
            return None
        person = self._person(scope, headers)
        if person is not None:
            scope["person"] = person
            return None
        if self._people:
            return RedirectResponse(f"/login?next={quote(_asked(scope), safe='')}", 303)
        return PlainTextResponse("The proxy named no person whom the console knows.\n", 403)

    def _foreign(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        """Return the answer to a request that no page of ours and no person has made."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or _PORT.sub("", hosts[0].strip().lower()) not in self._hosts:
            return PlainTextResponse("This host is not the console's: set CONSOLE_URL to its address.\n", 421)
        is_login = scope["path"] == "/login"
        if scope["method"] not in _METHODS | ({"POST"} if is_login else set()):
            return PlainTextResponse("Only GET and HEAD are answered.\n", 405, {"Allow": "GET, HEAD"})
        is_own = headers.get("sec-fetch-site", "") in _OWN_SITE
        if not is_own and (scope["method"] == "POST" or headers.get("sec-fetch-mode", "") not in _NAVIGATES):
            return PlainTextResponse("Asked by a page of another site.\n", 403)
        return None

    def _person(self, scope: Scope, headers: Headers) -> Person | None:
        if self._proxies is not None:
            peer = (scope.get("client") or ("", 0))[0]
            if person := self._proxies.person(peer, headers.getlist(self._proxies.header)):
                return person
        if self._people:
            return cookies.person_of(cookie_in(headers), self._people, self._now())
        return None if self._proxies is not None else LOCAL


def cookie_in(headers: Mapping[str, str]) -> str:
    """Return the value of our cookie, empty when there is none."""
    return cookie_parser(headers.get("cookie", "")).get(cookies.NAME, "")


def own_path(text: str) -> str:
    """Return a path of the console to go on at; the first page for any other address."""
    # A browser takes a backslash for a slash.
    is_ours = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if is_ours else "/"


def _asked(scope: Scope) -> str:
    query = scope["query_string"].decode("latin-1")
    return f"{scope['path']}?{query}" if query else str(scope["path"])


def _with_headers(send: Send, path: str) -> Send:
    kept = {} if path.startswith("/static/") else PRIVATE

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in (SAFE | kept).items():
                headers.setdefault(name, value)
        await send(message)

    return sent
