"""
The login: a token is shown once, and a cookie stands for it after that.
"""

import asyncio
from time import time
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.pages.site import Site
from console.safety import cookies
from console.safety.gate import own_path

_MOST_BYTES: Final = 4096
_WRONG_SECONDS: Final = 0.5
"""A guess takes this long: a token has at least 16 characters, so this only spares the log."""


class LoginPage:
    """The form, and its only POST."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def form(self, request: Request) -> Response:
        """Show the form; there is none where tokens are not needed."""
        if not self._site.people:
            return RedirectResponse("/", 303)
        return self._site.bare("login.html", next=own_path(request.query_params.get("next", "/")), wrong=False)

    async def enter(self, request: Request) -> Response:
        """Take a token, and give the cookie for it."""
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _MOST_BYTES:
                return self._site.bare("login.html", 413, next="/", wrong=True)
        told = parse_qs(body.decode("utf-8", "replace"))
        place = own_path(told.get("next", ["/"])[0])
        person = self._site.people.with_token(told.get("token", [""])[0].strip())
        if person is None:
            self._site.metrics.logins.labels("refused").inc()
            await asyncio.sleep(_WRONG_SECONDS)
            return self._site.bare("login.html", 403, next=place, wrong=True)
        self._site.metrics.logins.labels("taken").inc()
        answer = RedirectResponse(place, 303)
        answer.set_cookie(
            cookies.NAME,
            cookies.cookie_for(person, time()),
            max_age=cookies.SECONDS,
            path="/",
            secure=self._site.settings.is_https,
            httponly=True,
            samesite="strict",
        )
        return answer
