"""Records reach their agent in order and are acknowledged only when the agent has finished them."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from mode.utils.queues import FlowControlEvent, ThrowableQueue

from streams.runtime.stream import RecordStream

GENERATION = 3


class Record:
    """An event as a stream gets it, and its message in one."""

    def __init__(self, generation_id: int = GENERATION) -> None:
        self.generation_id = generation_id
        self.tracked = False
        self.acknowledged = False

    @property
    def message(self) -> "Record":
        return self

    def ack(self, _consumer: object) -> None:
        self.acknowledged = True


class Source:
    """The parts of app and channel that a stream uses; the channel has these records."""

    def __init__(self, *records: Record) -> None:
        self.active = True
        self.asked = asyncio.Event()
        self.should_stop = False
        self.app = SimpleNamespace(
            consumer=SimpleNamespace(unacked=set()),
            consumer_generation_id=GENERATION,
            rebalancing=False,
            flow_control=SimpleNamespace(is_active=self._is_active),
        )
        self.channel = SimpleNamespace(queue=ThrowableQueue(flow_control=FlowControlEvent(initially_suspended=False)))
        for record in records:
            self.channel.queue.put_nowait(record)

    def _is_active(self) -> bool:
        self.asked.set()
        return self.active

    async def maybe_start(self) -> bool:
        return False

    def events(self) -> AsyncIterator[Any]:
        stream: Any = self
        return RecordStream.events(stream)


async def test_a_record_is_acknowledged_when_the_next_is_asked_for() -> None:
    first, second = Record(), Record()
    source = Source(first, second)
    events = source.events()
    assert await anext(events) is first
    assert (first.tracked, first.acknowledged) == (True, False)
    assert source.app.consumer.unacked == {first}
    assert await anext(events) is second
    assert (first.acknowledged, second.acknowledged) == (True, False)


async def test_a_record_whose_agent_raised_is_not_acknowledged() -> None:
    record = Record()
    events: Any = Source(record).events()
    await anext(events)
    await events.aclose()
    assert not record.acknowledged


async def test_a_record_fetched_before_the_last_rebalance_is_skipped() -> None:
    old, new = Record(GENERATION - 1), Record()
    assert await anext(Source(old, new).events()) is new
    assert not old.acknowledged


async def test_a_record_that_arrives_during_a_rebalance_is_skipped() -> None:
    early, late = Record(), Record()
    source = Source(early)
    source.active = False
    waiting = asyncio.ensure_future(anext(source.events()))
    await source.asked.wait()
    source.active = True
    source.channel.queue.put_nowait(late)
    assert await waiting is late
    assert not early.acknowledged


async def test_nothing_comes_after_a_rebalance_has_begun_although_the_flow_still_goes_on() -> None:
    """The table leaves the record that waits for its turn then: the next one would seem to follow a gap."""
    left, behind, later = Record(), Record(), Record(GENERATION + 1)
    source = Source(left, behind, later)
    events = source.events()
    assert await anext(events) is left
    source.app.rebalancing = True
    waiting = asyncio.ensure_future(anext(events))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert source.channel.queue.empty()
    source.app.rebalancing = False
    source.app.consumer_generation_id = GENERATION + 1
    source.channel.queue.put_nowait(again := Record(GENERATION + 1))
    assert await waiting is again
    assert not behind.acknowledged


async def test_the_stream_ends_when_faust_ends_it() -> None:
    source = Source()
    waiting = asyncio.ensure_future(anext(source.events(), "the end"))
    await asyncio.sleep(0)
    await source.channel.queue.throw(StopAsyncIteration())
    assert await waiting == "the end"
