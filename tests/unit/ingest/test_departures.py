"""When groups leave."""

import asyncio

import pytest

from ingest.commit.departures import Departures
from ingest.commit.pending import Pending
from tests.support.clock import FakeClock


def pending_of(callbacks: int) -> Pending:
    pending = Pending(1_000)
    for _ in range(callbacks):
        pending.add(1)
    return pending


async def waiting(departures: Departures) -> asyncio.Task[None]:
    """Return a lane's wait, begun."""
    task = asyncio.create_task(departures.wait())
    await asyncio.sleep(0)
    return task


async def leaves(task: asyncio.Task[None]) -> bool:
    for _ in range(3):
        await asyncio.sleep(0)
    return task.done()


async def a_departure_just_now(departures: Departures, clock: FakeClock) -> None:
    first = await waiting(departures)
    clock.advance(0.0)
    assert await leaves(first)


@pytest.mark.parametrize(
    ("ack_seconds", "flush_seconds", "wait"),
    [
        pytest.param(0.2, 60.0, 0.1, id="half as long as Kafka took"),
        pytest.param(120.0, 0.05, 0.05, id="never longer than the setting"),
    ],
)
async def test_many_callbacks_wait_for_the_common_departure(
    ack_seconds: float, flush_seconds: float, wait: float
) -> None:
    clock = FakeClock()
    departures = Departures(pending_of(40), flush_seconds, clock)
    departures.acknowledged(ack_seconds)
    await a_departure_just_now(departures, clock)
    second = await waiting(departures)
    clock.advance(wait - 0.001)
    assert not await leaves(second)
    clock.advance(0.002)
    assert await leaves(second)


async def test_the_time_since_the_last_departure_counts() -> None:
    clock = FakeClock()
    departures = Departures(pending_of(40), 60.0, clock)
    departures.acknowledged(0.2)
    await a_departure_just_now(departures, clock)
    clock.advance(0.09)
    second = await waiting(departures)
    clock.advance(0.011)
    assert await leaves(second)


async def test_all_lanes_leave_together() -> None:
    clock = FakeClock()
    departures = Departures(pending_of(40), 60.0, clock)
    departures.acknowledged(0.1)
    await a_departure_just_now(departures, clock)
    ready = [await waiting(departures) for _ in range(3)]
    assert not any([await leaves(task) for task in ready])
    clock.advance(0.051)
    assert all([await leaves(task) for task in ready])


@pytest.mark.parametrize(("callbacks", "flush_seconds"), [(4, 60.0), (40, 0.0)])
async def test_a_few_callbacks_never_wait_nor_do_many_without_a_flush_time(
    callbacks: int, flush_seconds: float
) -> None:
    departures = Departures(pending_of(callbacks), flush_seconds, FakeClock())
    departures.acknowledged(120.0)
    assert await leaves(await waiting(departures))
