"""When batches leave, in the turns of an event loop."""

import asyncio
from time import monotonic

import pytest

from ingest.commit.departures import Departures
from ingest.commit.pending import Pending


@pytest.fixture
def crowd() -> Pending:
    """Give more callbacks than may leave one by one."""
    pending = Pending()
    pending.count = 40
    return pending


async def test_a_crowd_waits_half_as_long_as_kafka_took(crowd: Pending) -> None:
    departures = Departures(crowd, flush_s=60.0)
    departures.acknowledged(0.2)
    begun = monotonic()
    await departures.wait()
    async with asyncio.timeout(30.0):
        await departures.wait()
    assert monotonic() - begun >= 0.1


async def test_a_crowd_never_waits_longer_than_it_may(crowd: Pending) -> None:
    departures = Departures(crowd, flush_s=0.05)
    departures.acknowledged(120.0)
    begun = monotonic()
    await departures.wait()
    async with asyncio.timeout(30.0):
        await departures.wait()
    assert monotonic() - begun >= 0.05


async def test_a_crowd_leaves_together(crowd: Pending) -> None:
    departures = Departures(crowd, flush_s=60.0)
    departures.acknowledged(0.1)
    await departures.wait()
    ready = [asyncio.create_task(departures.wait()) for _ in range(3)]
    async with asyncio.timeout(30.0):
        await ready[0]
    await asyncio.sleep(0)
    assert all(task.done() for task in ready)


async def test_a_few_never_wait(crowd: Pending) -> None:
    departures = Departures(crowd, flush_s=60.0)
    departures.acknowledged(120.0)
    await departures.wait()
    crowd.count = 4
    async with asyncio.timeout(30.0):
        await departures.wait()
