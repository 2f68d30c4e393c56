"""
Posting like Routee: rate, connections, retries, and what the ledger says of it.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from sandbox.emulator.connection import Target
from sandbox.emulator.errors import UnreachableError
from sandbox.emulator.ledger import Ledger, read_ledger
from sandbox.emulator.retries import RetrySchedule
from sandbox.emulator.sender import Sender, SendOptions, Tally, reach
from sandbox.emulator.traffic.model import Callback
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.schedule import schedule
from tests.integration.emulator.receiver import receiver
from tests.support.wait import eventually_async

START = 1_795_000_000
QUICK = RetrySchedule(0.0001)


TINY = TrafficOptions(3, "", campaigns=1, recipients=20, singles=10)


def options(url: str, traffic: TrafficOptions = TINY) -> TrafficOptions:
    return replace(traffic, callback_url=url)


def callbacks(url: str, traffic: TrafficOptions = TINY) -> Iterator[Callback]:
    return schedule(options(url, traffic), START)


async def send(url: str, file: Path, sending: SendOptions, traffic: TrafficOptions = TINY) -> Tally:
    with Ledger(file) as ledger:
        ledger.open(options(url, traffic), START)
        sender = Sender(Target.parse(url), ledger, sending)
        await sender.send(callbacks(url, traffic))
        ledger.close(complete=True)
        return sender.tally


def lines(file: Path, kind: str) -> list[dict[str, Any]]:
    return [line for line in map(orjson.loads, file.read_bytes().splitlines()) if line["type"] == kind]


async def test_posts_the_schedule_byte_for_byte(tmp_path: Path) -> None:
    """With one connection the bodies arrive exactly as and in which order the schedule has them."""
    async with receiver() as received:
        tally = await send(received.url, tmp_path / "ledger", SendOptions(10_000, QUICK, connections=1))
        assert received.bodies == [callback.body for callback in callbacks(received.url)]
        assert tally.accepted == len(received.bodies)
        assert tally.answers == {"200": len(received.bodies)}


async def test_connections_are_kept_alive_and_bounded(tmp_path: Path) -> None:
    """No more connections than allowed are opened, each serves many callbacks."""
    async with receiver() as received:
        await send(received.url, tmp_path / "ledger", SendOptions(10_000, QUICK, connections=4))
        assert received.connections == received.most_at_once == 4


@pytest.mark.parametrize("status", [500, 503, 404, 202, 302])
async def test_anything_but_200_is_posted_again(tmp_path: Path, status: int) -> None:
    """A refused callback comes again until it is accepted, with the same bytes; the ledger has every answer."""
    tries: Counter[bytes] = Counter()

    def answer(body: bytes) -> int:
        tries[body] += 1
        return 200 if tries[body] > 2 else status

    async with receiver(answer) as received:
        tally = await send(received.url, tmp_path / "ledger", SendOptions(10_000, QUICK), replace(TINY, duplicates=0))
        assert set(tries.values()) == {3}
        assert tally.retried == tally.accepted == len(tries)
    for line in lines(tmp_path / "ledger", "callback"):
        assert [answer["status"] for answer in line["answers"]] == [status, status, 200]


async def test_routee_gives_up_after_twelve_retries(tmp_path: Path) -> None:
    """Thirteen posts in all; the callback then counts as never answered."""
    async with receiver(lambda _: 503) as received:
        once = replace(TINY, recipients=0, singles=1, duplicates=0)
        tally = await send(received.url, tmp_path / "ledger", SendOptions(10_000, RetrySchedule(1e-7)), once)
        assert set(Counter(received.bodies).values()) == {13}
        assert tally.unanswered == len(set(received.bodies))
        assert read_ledger(tmp_path / "ledger").uncertain == tally.unanswered


async def test_silence_is_a_timeout_and_drops_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an answer in time the connection is closed, and the callback posted again on another."""
    monkeypatch.setattr("sandbox.emulator.sender.ANSWER_SECONDS", 1.0)
    silent = iter([None])
    async with receiver(lambda _: next(silent, 200)) as received:
        tally = await send(received.url, tmp_path / "ledger", SendOptions(10_000, QUICK, connections=1))
        assert tally.answers["timeout"] == 1
        assert tally.unanswered == 0
        assert received.connections == 2


@pytest.mark.parametrize(
    "tail",
    [
        b"Content-Length: 2\r\n\r\nok",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"Connection: close\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["with a body", "chunked", "closing"],
)
async def test_any_http_answer_is_understood(tmp_path: Path, tail: bytes) -> None:
    """Bodies, chunks and closing servers are all answers."""
    async with receiver(tail=tail) as received:
        tally = await send(received.url, tmp_path / "ledger", SendOptions(10_000, QUICK))
        assert tally.answers == {"200": len(received.bodies)}


async def test_the_rate_is_kept(tmp_path: Path) -> None:
    """So many callbacks take no less time than the rate says."""
    async with receiver() as received:
        began = asyncio.get_running_loop().time()
        await send(received.url, tmp_path / "ledger", SendOptions(200, QUICK))
        assert asyncio.get_running_loop().time() - began > (len(received.bodies) - 1) / 200 - 0.2


async def test_stop_ends_without_losing_requests_in_flight(tmp_path: Path) -> None:
    """After `stop` every posted callback is in the ledger with its answer, and nothing more is posted."""
    async with receiver() as received:
        with Ledger(tmp_path / "ledger") as ledger:
            ledger.open(options(received.url), START)
            sender = Sender(Target.parse(received.url), ledger, SendOptions(20, QUICK))
            sending = asyncio.create_task(sender.send(callbacks(received.url)))
            await eventually_async(lambda: len(received.bodies) > 5)
            sender.stop()
            await asyncio.wait_for(sending, 30)
        assert sender.tally.accepted == len(received.bodies) < 60
    assert len(lines(tmp_path / "ledger", "callback")) == len(received.bodies)
    assert lines(tmp_path / "ledger", "end")[0]["complete"] is False


async def test_stop_gives_up_waiting_for_retries(tmp_path: Path) -> None:
    """A callback that waits for its next try ends with the answers it got."""
    async with receiver(lambda _: 503) as received:
        with Ledger(tmp_path / "ledger") as ledger:
            sender = Sender(Target.parse(received.url), ledger, SendOptions(10_000, RetrySchedule(1)))
            sending = asyncio.create_task(sender.send(callbacks(received.url)))
            await eventually_async(lambda: len(received.bodies) > 50)
            sender.stop()
            await asyncio.wait_for(sending, 30)
        assert sender.tally.unanswered == len(received.bodies)


async def test_a_swallowed_callback_is_answered_without_being_sent(tmp_path: Path) -> None:
    """The ledger says 200, the URL never saw it."""
    async with receiver() as received:
        sending = SendOptions(10_000, QUICK, swallow=lambda callback: callback.number == 7)
        tally = await send(received.url, tmp_path / "ledger", sending)
        assert tally.accepted == len(received.bodies) + 1
        assert next(b for b in callbacks(received.url) if b.number == 7).body not in received.bodies


async def test_lost_callbacks_are_in_the_ledger_only(tmp_path: Path) -> None:
    """They are written down as lost, and never posted."""
    async with receiver() as received:
        tally = await send(received.url, tmp_path / "ledger", SendOptions(10_000, QUICK), replace(TINY, lost=0.3))
        assert tally.lost > 0
        assert tally.accepted == len(received.bodies)
    written = lines(tmp_path / "ledger", "callback")
    assert sum(line["lost"] for line in written) == tally.lost
    assert all(not line["answers"] for line in written if line["lost"])


async def test_an_url_without_a_server_is_reported_after_a_few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable URL ends in one line that names it."""
    monkeypatch.setattr("sandbox.emulator.sender._REACH_WAIT_SECONDS", 0.01)
    async with receiver() as received:
        target = Target.parse(received.url)
        await reach(target)
    with pytest.raises(UnreachableError, match=rf"nobody answers at 127\.0\.0\.1:{target.port} after 5 tries: "):
        await reach(target)


async def test_the_ledger_is_readable_while_it_is_written(tmp_path: Path) -> None:
    """A kill loses little: answered callbacks are on disk soon after, and are read without the closing lines."""
    async with receiver() as received:
        with Ledger(tmp_path / "ledger") as ledger:
            ledger.open(options(received.url), START)
            sender = Sender(Target.parse(received.url), ledger, SendOptions(20, QUICK))
            sending = asyncio.create_task(sender.send(callbacks(received.url)))
            await eventually_async(lambda: read_ledger(tmp_path / "ledger").accepted >= 3)
            sender.stop()
            await sending
