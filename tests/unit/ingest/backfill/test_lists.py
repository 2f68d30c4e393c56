"""
Whole lists although rows move, ranges divided until they fit, and the number of requests that this takes.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from math import ceil
from typing import Any, Final

import pytest

from ingest.backfill.client import Page
from ingest.backfill.errors import BadRequestError, NoAnswerError
from ingest.backfill.lists import divided, parts, whole
from streams.contract.keys import NIL_ID

MOST_ROWS = 10_000
PAGE_ROWS = 2000

DAY: Final = 86_400.0
WEEK: Final = 7 * DAY


class Api:
    """SMS at moments; counts its requests and refuses deep pages."""

    def __init__(self, moments: list[float]) -> None:
        self.moments = sorted(moments)
        self.asked = 0
        self.moves = 0

    async def page(self, begin: float, end: float, number: int) -> Page:
        self.asked += 1
        rows = [{"smsId": str(place)} for place, at in enumerate(self.moments) if begin <= at <= end]
        assert len(rows) <= MOST_ROWS or number == 0
        if number and self.moves:
            self.moves -= 1
            rows = rows[-1:] + rows[:-1]
        return Page(rows[number * PAGE_ROWS : (number + 1) * PAGE_ROWS], len(rows))

    async def all(self) -> tuple[set[str], int]:
        found, missing = set(), 0
        async for part in parts(self.page, 0, WEEK):
            found |= {row["smsId"] for row in part.rows}
            missing += part.missing
        return found, missing


def spread(count: int) -> list[float]:
    return [WEEK * place / count for place in range(count)]


def bursts(count: int) -> list[float]:
    """Half of all SMS in ten campaigns of five minutes."""
    half = count // 2
    return spread(half) + [DAY / 3 + DAY / 2 * (place % 10) + 300 * place / half for place in range(half)]


@pytest.mark.parametrize("no_id", [None, "null", "0", 0, NIL_ID])
async def test_rows_without_an_id_are_told_apart_by_message_and_part(no_id: object) -> None:
    """By an id that stands for none, all rows of a list would be one."""
    rows = [{"messageId": f"m{place // 2}", "smsId": no_id, "part": 1 + place % 2} for place in range(6)]
    asked: list[int] = []

    async def fetch(number: int) -> Page:
        asked.append(number)
        return Page(rows, len(rows))

    assert await whole(fetch, Page(rows, len(rows))) == (rows, 0)
    assert not asked


@pytest.mark.parametrize("count", [0, 1, PAGE_ROWS, PAGE_ROWS + 1, MOST_ROWS, MOST_ROWS + 1, 60_000])
@pytest.mark.parametrize("spreading", [spread, bursts])
async def test_every_row_of_a_range_comes(count: int, spreading: Callable[[int], list[float]]) -> None:
    """However many there are, and however they lie."""
    api = Api(spreading(count))
    found, missing = await api.all()
    assert (len(found), missing) == (len(api.moments), 0)


class Counted(Api):
    """A million rows that are only counted: a page has its numbers only."""

    async def page(self, begin: float, end: float, number: int) -> Page:
        self.asked += 1
        first, last = bisect_left(self.moments, begin), bisect_right(self.moments, end)
        assert last - first <= MOST_ROWS or number == 0
        begin_row = first + number * PAGE_ROWS
        rows: list[Any] = [{"smsId": place} for place in range(begin_row, min(begin_row + PAGE_ROWS, last))]
        return Page(rows, last - first)


@pytest.mark.parametrize("spreading", [spread, bursts])
async def test_a_million_parts_take_at_most_800_requests_by_range(
    spreading: Callable[[int], list[float]], record_property: Callable[[str, int], None]
) -> None:
    """Ranges are sized by the density seen, and divided again where it is higher."""
    api = Counted(spreading(1_000_000))
    found, missing = await api.all()
    record_property("requests", api.asked)
    assert (len(found), missing) == (1_000_000, 0)
    assert api.asked <= 800


async def test_a_million_parts_take_at_most_520_requests_by_campaign() -> None:
    """Where Routee gives deep pages, a campaign takes one request for 2,000 SMS, and one for its details."""
    asked = 0

    async def page(number: int) -> Page:
        nonlocal asked
        asked += 1
        return Page([{"smsId": row} for row in range(number * PAGE_ROWS, (number + 1) * PAGE_ROWS)], 1_000_000)

    rows = await whole(page, await page(0))
    assert (len(rows.rows), rows.missing) == (1_000_000, 0)
    assert asked + 1 <= 520


async def test_a_list_in_which_a_row_moves_is_read_again() -> None:
    """One pass misses a row and has another one twice; the next pass has all."""
    api = Api(spread(5000))
    api.moves = 2
    found, missing = await api.all()
    assert (len(found), missing) == (5000, 0)
    assert api.asked > 3


async def test_a_list_that_never_stands_still_is_given_up_after_five_passes() -> None:
    """The rows that came are returned, and how many did not."""
    passes = 0

    async def page(number: int) -> Page:
        nonlocal passes
        passes += number == 0
        return Page([{"smsId": "1"}], 3)

    rows = await whole(page, await page(0))
    assert (rows.rows, rows.missing, passes) == ([{"smsId": "1"}], 2, 5)


@pytest.mark.parametrize("size", [20, 1000, PAGE_ROWS - 1])
async def test_pages_that_are_shorter_than_asked_for_are_read_to_the_last(size: int) -> None:
    rows = [{"smsId": str(row)} for row in range(3000)]
    asked = []

    async def page(number: int) -> Page:
        asked.append(number)
        return Page(rows[number * size : (number + 1) * size], len(rows))

    assert await whole(page, await page(0)) == (rows, 0)
    assert asked == [*range(ceil(len(rows) / size))]


@pytest.mark.parametrize("last", [0, 1])
async def test_a_total_that_is_too_large_costs_no_requests_without_end(last: int) -> None:
    """The further pages are empty, or the last one again, as of a server that does not know the number of a page."""
    asked = 0

    async def page(number: int) -> Page:
        nonlocal asked
        asked += 1
        return Page([{"smsId": "1"}] if number == 0 or last else [], 10**9)

    assert await whole(page, await page(0)) == ([{"smsId": "1"}], 10**9 - 1)
    assert asked == 10


async def test_a_single_second_is_not_divided() -> None:
    """More rows than are given in one second: the range is read as it is."""
    asked = []

    async def fetch(begin: float, end: float, number: int) -> Page:
        asked.append((begin, end, number))
        return Page([{"smsId": "1"}], MOST_ROWS + 1)

    async for part in parts(fetch, 5, 6):
        assert part.missing
    assert {(begin, end) for begin, end, _ in asked} == {(5, 6)}


def test_ranges_meet() -> None:
    """Each begins where the one before ends, so no moment is left out; and they end where the whole did."""
    ranges = divided(10.5, 1000, 25_000)
    assert [begin for begin, _ in ranges[1:]] == [end for _, end in ranges[:-1]]
    assert (ranges[0][0], ranges[-1][1]) == (10, 1000)
    assert len(ranges) == 4
    assert divided(0, 2, 10**9) == [(0, 1), (1, 2)]


@pytest.mark.parametrize("error", [BadRequestError("too deep"), NoAnswerError("no answer")])
async def test_pages_that_are_too_deep_are_told_as_missing(error: Exception) -> None:
    """A single second with more rows than Routee gives; a shallow page that is refused ends the reading."""
    shallowest = MOST_ROWS // PAGE_ROWS

    async def fetch(begin: float, end: float, number: int) -> Page:
        assert begin < end
        if number >= shallowest:
            raise error
        rows = [{"smsId": str(row)} for row in range(number * PAGE_ROWS, (number + 1) * PAGE_ROWS)]
        return Page(rows, MOST_ROWS + 7)

    (part,) = [part async for part in parts(fetch, 5, 6)]
    assert (len(part.rows), part.missing) == (MOST_ROWS, 7)
    shallowest = 1
    with pytest.raises(type(error)):
        _ = [part async for part in parts(fetch, 5, 6)]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("until", [101.0, 101.5, 101.999])
async def test_a_second_and_a_fraction_is_not_divided_for_ever(until: float) -> None:
    """Routee takes whole seconds: no part would be shorter."""
    asked = 0

    async def fetch(_: float, __: float, number: int) -> Page:
        nonlocal asked
        asked += 1
        assert asked < 100
        return Page([{"smsId": f"{number}-{row}"} for row in range(PAGE_ROWS)], 2 * MOST_ROWS)

    assert [(part.begin, part.end) async for part in parts(fetch, 100, until)] == [(100, until)]
