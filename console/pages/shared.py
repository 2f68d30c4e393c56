"""
Pages that many tabs read again at once: made once for all of them.

A tab that reads again takes the parts of the page that change, and these are the same for all people, since numbers and
texts are masked in them. A look at numbers and texts is never shared.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

Page = Callable[[Request], Awaitable[Response]]

SECONDS: Final = 3.0
AGAIN: Final = "x-refresh"
"""The header of a tab that reads its page again."""

_MOST_KEPT: Final = 256


class Shared:
    """A page, shared among the tabs that read it again within a few seconds."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._kept: dict[str, tuple[float, asyncio.Task[Response]]] = {}

    async def __call__(self, request: Request) -> Response:
        """Answer anew, or as another tab was answered just now."""
        if AGAIN not in request.headers or "show" in request.query_params:
            return await self._page(request)
        key, now = f"{request.url.path}?{request.url.query}", monotonic()
        known = self._kept.get(key)
        if known is None or now - known[0] > SECONDS:
            self._forget(now)
            known = self._kept[key] = now, asyncio.create_task(_answer(self._page, request))
        return await asyncio.shield(known[1])

    def _forget(self, now: float) -> None:
        if len(self._kept) >= _MOST_KEPT:
            self._kept = {key: kept for key, kept in self._kept.items() if now - kept[0] <= SECONDS}


async def _answer(page: Page, request: Request) -> Response:
    return await page(request)
