"""
Pages that many tabs of a person read again at once: made once for all of them.

The tabs of one person share: a page has the person's name, and what this person may do. A look at numbers and texts, or
a sheet, is never shared.
"""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from console.live.news import News

_Key = tuple[str, bool, str, str]
Page = Callable[[Request], Awaitable[Response]]

SECONDS: Final = 3.0
AGAIN: Final = "x-refresh"
"""The header of a tab that reads its page again: the id of the event that it has to be newer than, or `again`."""
_ALONE: Final = frozenset({"show", "csv"})
"""A request with one of these is never shared."""
_LEVEL: Final = 5
_MOST_KEPT: Final = 256


class _Answers(NamedTuple):
    """An answer, and the same compressed: the work is done once."""

    plain: Response
    packed: Response


class Shared:
    """A page, shared among the tabs of a person that read it again within a few seconds and were told nothing newer."""

    def __init__(self, page: Page, news: News) -> None:
        self._page = page
        self._news = news
        self._kept: dict[_Key, tuple[float, int, asyncio.Task[_Answers]]] = {}
        """When it was made, behind which tick, and the answers: at most one answer is made for the news of a tick."""

    async def __call__(self, request: Request) -> Response:
        """Answer anew, or as another tab was answered just now."""
        if AGAIN not in request.headers or _ALONE & request.query_params.keys():
            return await self._page(request)
        person = request.scope["person"]
        key, now = (person.name, person.may_unmask, request.url.path, request.url.query), monotonic()
        told = self._news.tick_of(request.headers[AGAIN])
        known = self._kept.get(key)
        if known is None or now - known[0] > SECONDS or told > known[1]:
            self._forget(now)
            made = asyncio.create_task(_answer(self._page, request))
            known = self._kept[key] = now, self._news.tick_of(self._news.mark()), made
        answers = await asyncio.shield(known[2])
        return answers.packed if "gzip" in request.headers.get("accept-encoding", "") else answers.plain

    def _forget(self, now: float) -> None:
        if len(self._kept) >= _MOST_KEPT:
            self._kept = {key: kept for key, kept in self._kept.items() if now - kept[0] <= SECONDS}


async def _answer(page: Page, request: Request) -> _Answers:
    plain = await page(request)
    packed = Response(
        gzip.compress(plain.body, _LEVEL), plain.status_code, {"Content-Encoding": "gzip"}, plain.media_type
    )
    return _Answers(plain, packed)
