"""
What the producer does on connections that are reset or slow, on the event loop that ingest runs on.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from time import monotonic

import pytest
import uvloop
from aiokafka.errors import KafkaError

from ingest.envelope import Record
from ingest.producer import Producer
from tests.behaviour.ingest.fake_broker import TOPIC, FakeBroker, fake_broker
from tests.support.wait import eventually_async

LANES = 8
RECORDS = [Record(b"key", b"x" * 800)]
BOUND_S = 1.5
# What a busy machine may add to a bound; far below what "for ever" is.
SLACK_S = 3.0


def on_uvloop(story: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story)


@asynccontextmanager
async def connected(broker: FakeBroker) -> AsyncIterator[Producer]:
    producer = Producer({"bootstrap_servers": f"127.0.0.1:{broker.port}", "retry_backoff_ms": 50})
    await producer.start()
    try:
        await producer.client.set_topics([TOPIC])
        yield producer
    finally:
        await producer.close(BOUND_S)


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_reset_an_append_ends_within_its_bound(seed: int) -> None:
    """Connections that break at random moments delay appends and fail some; none hangs."""
    dice = random.Random(seed)  # noqa: S311 - guards nothing
    chance = 0.0
    stored = 0

    async def lane(producer: Producer, partition: int, end: float) -> None:
        nonlocal stored
        while monotonic() < end:
            try:
                async with asyncio.timeout(BOUND_S + SLACK_S):
                    await producer.append(TOPIC, partition, RECORDS)
                stored += 1
            except KafkaError:
                pass
            await asyncio.sleep(dice.uniform(0, 0.002))

    async def story() -> None:
        nonlocal chance
        async with fake_broker(LANES, resets=lambda: dice.random() < chance) as broker, connected(broker) as producer:
            chance, end = 0.02, monotonic() + 3
            await asyncio.gather(*(lane(producer, partition, end) for partition in range(LANES)))
            chance = 0.0
            assert broker.most_connections <= 2 * LANES + 2

    on_uvloop(story())
    assert stored > 100


def test_an_error_that_the_client_does_not_name_is_told_and_tried_again() -> None:
    """As when the event loop has closed a connection that the client believes in."""

    async def story() -> None:
        async with fake_broker(LANES) as broker, connected(broker) as producer:
            send = producer.client.send

            async def broken(*_: object, **__: object) -> None:
                producer.client.send = send
                raise RuntimeError("the handler is closed")

            producer.client.send = broken
            await producer.append(TOPIC, 0, RECORDS)

    on_uvloop(story())


def test_lanes_do_not_wait_for_each_others_acknowledgements() -> None:
    """A broker that is slow on every connection stores what eight lanes send one after the other, all of it in time."""

    async def story() -> None:
        async with fake_broker(LANES, ack_s=0.25) as broker, connected(broker) as producer:
            for _ in range(3):
                appends = []
                for partition in range(LANES):  # in turns of their own: they do not share a request
                    appends.append(asyncio.create_task(producer.append(TOPIC, partition, RECORDS)))
                    await asyncio.sleep(0.01)
                await asyncio.gather(*appends)
            assert broker.most_connections <= LANES + 2  # metadata has one, and so has the first contact

    on_uvloop(story())


def test_an_append_that_cannot_connect_fails_within_its_bound() -> None:
    """The bound holds for connecting as well: nothing answers on a new connection."""

    async def story() -> None:
        async with fake_broker(LANES, ack_s=0.0) as broker, connected(broker) as producer:
            async with producer.client._get_conn_lock:  # somebody else is connecting, and does not get on
                began = monotonic()
                with pytest.raises(KafkaError):
                    await producer.append(TOPIC, 0, RECORDS)
                assert monotonic() - began < BOUND_S + SLACK_S
            await producer.append(TOPIC, 0, RECORDS)

    on_uvloop(story())


def test_closing_ends_well_whatever_ended_the_clients_own_task(caplog: pytest.LogCaptureFixture) -> None:
    """An error that comes out of the client is logged, and no connection stays open."""

    async def die() -> None:
        raise RuntimeError("the handler is closed")

    async def story() -> None:
        async with fake_broker(LANES) as broker:
            async with connected(broker) as producer:
                await producer.append(TOPIC, 0, RECORDS)
                producer.client._sync_task.cancel()
                producer.client._sync_task = asyncio.create_task(die())
                await asyncio.sleep(0)
            await eventually_async(lambda: broker.connections == 0)

    on_uvloop(story())
    assert "the handler is closed" in caplog.text
