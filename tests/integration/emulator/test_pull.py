"""
The emulated pull API over HTTP: tokens, pages, ranges of time, and each way in which an answer can go wrong.
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from sandbox.emulator.pull.books import Books
from sandbox.emulator.pull.options import APPLICATION_ID, APPLICATION_SECRET, DateMeaning, PullOptions, Trouble
from sandbox.emulator.pull.server import PullApi
from sandbox.emulator.traffic.options import TrafficOptions
from tests.support.wait import eventually_async

START = 1_795_000_000
TRAFFIC = TrafficOptions(7, "http://routee.example/x", campaigns=1, recipients=60, singles=20, multipart=0.3)
CREDENTIALS = f"{APPLICATION_ID}:{APPLICATION_SECRET}"


@dataclass
class Asking:
    """A client with a token."""

    api: PullApi
    books: Books
    session: ClientSession
    now: float = START + 86_400
    token: str = ""

    async def log_in(self, credentials: str = CREDENTIALS) -> tuple[int, dict[str, Any]]:
        head = {"Authorization": "Basic " + b64encode(credentials.encode()).decode()}
        body = {"grant_type": "client_credentials"}
        async with self.session.post(f"{self.api.url}/oauth/token", data=body, headers=head) as answer:
            said = await answer.json()
            self.token = said.get("access_token", "")
            return answer.status, said

    async def ask(self, method: str, path: str, **query: str | int) -> tuple[int, Any]:
        head = {"Authorization": f"Bearer {self.token}"}
        async with self.session.request(method, self.api.url + path, params=query, headers=head) as answer:
            return answer.status, await answer.json()

    async def range(self, **query: str | int) -> tuple[int, Any]:
        return await self.ask("POST", "/sms/tracking", **({"dateStart": iso(START), "dateEnd": iso(self.now)} | query))


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


@asynccontextmanager
async def asking(options: PullOptions | None = None) -> AsyncIterator[Asking]:
    books = Books(TRAFFIC, START)
    books.end()
    client: Asking
    api = PullApi(books, options or PullOptions(), clock=lambda: client.now)
    await api.start()
    try:
        async with ClientSession() as session:
            client = Asking(api, books, session)
            await client.log_in()
            yield client
    finally:
        await api.close()


async def test_a_running_token_is_handed_out_again_with_the_time_it_has_left() -> None:
    """Two requests in a row get one token; after its end there is another, and the first is refused."""
    async with asking() as client:
        first = client.token
        client.now += 3000
        assert await client.log_in() == (200, {
            "access_token": first, "token_type": "bearer", "expires_in": 600,
            "scope": "contact sms report account", "permissions": ["MT_ROLE_SMS", "MT_ROLE_REPORT"],
        })  # fmt: skip
        client.now += 600
        assert (await client.range())[0] == 401
        await client.log_in()
        assert client.token != first
        assert (await client.range())[0] == 200


async def test_wrong_credentials_are_refused() -> None:
    """The token endpoint answers 401."""
    async with asking() as client:
        assert (await client.log_in("emulated:wrong"))[0] == 401


async def test_a_message_is_one_object_per_part() -> None:
    """A message that is not known is 404 with Routee's code."""
    async with asking() as client:
        entry = next(
            entry for entry in client.books.between(0, client.now, DateMeaning.STATUS) if len(entry.message.parts) > 1
        )
        status, parts = await client.ask("GET", f"/sms/tracking/single/{entry.message.message_id}")
        assert (status, len(parts)) == (200, len(entry.message.parts))
        assert await client.ask("GET", "/sms/tracking/single/nothing") == (
            404, {"code": "404005000", "developerMessage": "Tracking not found"},
        )  # fmt: skip


async def test_pages_have_each_row_once() -> None:
    """All pages together are the total, 20 rows each when nothing else is asked for."""
    async with asking() as client:
        _, first = await client.range()
        assert (first["size"], first["first"], first["last"]) == (20, True, False)
        pages = [(await client.range(page=page))[1] for page in range(first["totalPages"])]
        ids = [row["smsId"] for page in pages for row in page["content"]]
        assert len(ids) == len(set(ids)) == first["totalElements"]
        assert pages[-1]["last"]


async def test_a_row_that_moves_comes_twice_and_hides_another() -> None:
    """While a row jumps to the front, a pass over the pages misses one; a pass without a move has all."""
    async with asking(PullOptions(moves=1)) as client:

        async def one_pass() -> tuple[set[str], int]:
            pages = [(await client.range(page=page, size=70))[1] for page in range(2)]
            return {row["smsId"] for page in pages for row in page["content"]}, pages[0]["totalElements"]

        ids, total = await one_pass()
        assert len(ids) < total
        ids, total = await one_pass()
        assert len(ids) == total


async def test_the_window_is_seven_days() -> None:
    """A range that begins earlier is 400, and so is one without dates, a page of 2,001, an unknown filter."""
    async with asking() as client:
        client.now = START + 7 * 86_400
        await client.log_in()
        assert (await client.range())[0] == 200
        client.now += 1
        assert (await client.range())[0] == 400
        assert (await client.range(dateStart="yesterday"))[0] == 400
        assert (await client.range(dateStart=iso(client.now), size=2001))[0] == 400


async def test_a_campaign_has_details_and_a_list() -> None:
    """An unknown campaign is 404."""
    async with asking() as client:
        campaign = next(
            e.message.campaign for e in client.books.between(0, client.now, DateMeaning.STATUS) if e.message.campaign
        )
        status, details = await client.ask("GET", f"/campaigns/{campaign.tracking_id}")
        assert (status, details["type"], details["smsAnalysis"]) == (200, "Sms", {"numberOfRecipients": 60})
        assert sum(details["statuses"].values()) == 60
        status, page = await client.ask("GET", f"/sms/tracking/campaign/{campaign.tracking_id}", size=2000)
        assert (status, page["totalPages"]) == (200, 1)
        assert page["totalElements"] >= 60
        assert (await client.ask("GET", "/sms/tracking/campaign/nothing"))[0] == 404
        assert (await client.ask("GET", "/campaigns/nothing"))[0] == 404


@pytest.mark.parametrize("trouble", [Trouble.UNAUTHORIZED, Trouble.FORBIDDEN, Trouble.TOO_MANY, Trouble.BROKEN])
async def test_an_answer_can_be_refused(trouble: Trouble) -> None:
    """One answer has the status; the next is good."""
    async with asking() as client:
        client.api.troubles.append(trouble)
        assert (await client.range())[0] == int(trouble)
        assert (await client.range())[0] == 200


async def test_an_answer_can_be_cut() -> None:
    """Half of the body comes, then the connection ends."""
    async with asking() as client:
        client.api.troubles.append(Trouble.CUT)
        with pytest.raises(ClientError):
            await client.range()
        assert (await client.range())[0] == 200


async def test_an_answer_can_be_slow() -> None:
    """It comes after the time that was asked for; others come meanwhile."""
    async with asking(PullOptions(slow_seconds=0.5)) as client:
        client.api.troubles.append(Trouble.SLOW)
        slow = asyncio.ensure_future(client.range())
        await eventually_async(lambda: bool(client.api.times), deadline=30)
        assert (await client.range())[0] == 200
        assert not slow.done()
        assert (await slow)[0] == 200


async def test_more_requests_than_the_rate_are_429() -> None:
    """The rate counts the requests of the last second."""
    async with asking(PullOptions(requests_per_second=3)) as client:
        assert [(await client.range())[0] for _ in range(4)] == [200, 200, 200, 429]


async def test_an_address_that_is_not_allowed_is_403_with_every_token() -> None:
    """A new token does not cure it."""
    async with asking(PullOptions(allowed=False)) as client:
        await client.log_in()
        assert (await client.range())[0] == 403
