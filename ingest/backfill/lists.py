"""
Lists of SMS, read whole although rows move from page to page, and ranges of time, divided until they are short enough.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from math import ceil
from typing import Any, Final, NamedTuple

from ingest.backfill.client import PAGE_ROWS, Page
from ingest.backfill.errors import BadRequestError, NoAnswerError
from streams.contract.keys import given_id

MOST_ROWS: Final = 10_000
"""The longest list that is read by pages: deeper ones may be refused."""

_AIM_ROWS: Final = 7_500
_PASSES: Final = 5

Fetch = Callable[[int], Awaitable[Page | None]]
"""Number of a page → the page; None: there is no such list."""

FetchRange = Callable[[float, float, int], Awaitable[Page | None]]
"""The same of a range of time, given in seconds."""


class Rows(NamedTuple):
    """The rows of a list; `missing` of them did not come in any pass."""

    rows: list[Any]
    missing: int


class Part(NamedTuple):
    """The rows of a part of a range of time."""

    begin: float
    end: float
    rows: list[Any]
    missing: int


async def whole(fetch: Fetch, first: Page) -> Rows:
    """
    Return the rows of a list whose first page is at hand.

    The list is whole when one pass has as many different rows as it is long; else it is read again, five times in all.
    Rows of every pass are returned, the latest of each SMS.
    """
    found: dict[str, Any] = {}
    missing = 0
    page: Page | None = first
    for attempt in range(_PASSES):
        seen: set[str] = set()
        number = taken = 0
        while page is not None:
            before = len(seen)
            for row in page.rows:
                seen.add(key := _key(row))
                found[key] = row
            number += 1
            taken += len(page.rows)
            missing = page.total - len(seen)
            # Rows are counted, not pages, which may be shorter than asked for; a total may be larger than the list.
            if taken >= page.total or len(seen) == before:
                break
            page = await fetch(number)
        if missing <= 0:
            return Rows([*found.values()], 0)
        page = await fetch(0) if attempt < _PASSES - 1 else None
    return Rows([*found.values()], max(0, missing))


async def parts(fetch: FetchRange, begin: float, end: float) -> AsyncIterator[Part]:
    """
    Yield a range of time in parts that are short enough, each read whole.

    A part that is too long is divided by the density that its length tells; one of a single second is not divided.
    """
    waiting = [(begin, end)]
    while waiting:
        since, until = waiting.pop()
        first = await fetch(since, until, 0)
        if first is None:
            continue
        if first.total > MOST_ROWS and int(until) - int(since) > 1:
            waiting += reversed(divided(since, until, first.total))
            continue

        async def page(number: int, since: float = since, until: float = until) -> Page | None:
            try:
                return await fetch(since, until, number)
            except (BadRequestError, NoAnswerError):
                if number * PAGE_ROWS < MOST_ROWS:
                    raise
                return None  # too deep for Routee: told as missing

        rows = await whole(page, first)
        yield Part(since, until, rows.rows, rows.missing)


def divided(begin: float, end: float, rows: int) -> list[tuple[float, float]]:
    """Return equal parts of a range, each with fewer rows than the most, if they are evenly spread; two at least."""
    count = min(max(2, ceil(rows / _AIM_ROWS)), max(2, int(end - begin)))
    bounds = [int(begin + (end - begin) * place / count) for place in range(count)] + [end]
    return [*pairwise(bounds)]


def _key(row: Any) -> str:  # noqa: ANN401 - JSON is any
    if not isinstance(row, dict):
        return repr(row)
    return given_id(str(row.get("smsId") or "")) or f"{row.get('messageId')}#{row.get('part') or 1}"
