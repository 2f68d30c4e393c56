"""
The producer on connections that are reset, slow or silent, on the event loop that ingest runs on.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from time import monotonic

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaError

from ingest.callback.envelope import RawRecord
from ingest.clock import SystemClock
from ingest.kafka.cluster import Cluster
from ingest.kafka.producer import PATIENCE_SECONDS, Producer
from tests.behaviour.ingest.fake_broker import TOPIC, FakeBroker, fake_broker
from tests.support.wait import eventually_async

LANES = 8
RECORDS = [RawRecord(b"key", b"x" * 800)]
# A busy machine may add this much to a bound; an endless wait is far longer.
SLACK_SECONDS = 3.0


def on_uvloop(story: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story)


@asynccontextmanager
async def connected(broker: FakeBroker) -> AsyncIterator[Producer]:
    cluster = Cluster({"bootstrap_servers": f"127.0.0.1:{broker.port}"}, [TOPIC], PATIENCE_SECONDS, SystemClock())
    producer = Producer(cluster)
    try:
        await cluster.refresh()
        yield producer
    finally:
        await producer.close(PATIENCE_SECONDS)
        await cluster.close()
    await eventually_async(lambda: broker.connections == 0)


async def appends_of_all_lanes(producer: Producer) -> None:
    """Append to every partition, in turns of the event loop of their own: they do not share a request."""
    appends = []
    for partition in range(LANES):
        appends.append(asyncio.create_task(producer.append(TOPIC, partition, RECORDS)))
        await asyncio.sleep(0.01)
    await asyncio.gather(*appends)


@pytest.mark.parametrize("seed", [1, 2])
def test_on_connections_that_are_reset_an_append_ends_within_its_bound(seed: int) -> None:
    """Connections that break at random moments delay appends and fail some; none hangs."""
    dice = random.Random(seed)  # noqa: S311 - guards nothing
    chance = 0.0
    stored = 0

    async def lane(producer: Producer, partition: int, end: float) -> None:
        nonlocal stored
        while monotonic() < end:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS + SLACK_SECONDS):
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


def test_an_append_is_tried_again_after_an_error_of_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when it has closed a connection that aiokafka believes in."""
    send = AIOKafkaConnection.send

    def broken(*_: object, **__: object) -> None:
        monkeypatch.setattr(AIOKafkaConnection, "send", send)
        raise RuntimeError("the handler is closed")

    async def story() -> None:
        async with fake_broker(LANES) as broker, connected(broker) as producer:
            monkeypatch.setattr(AIOKafkaConnection, "send", broken)
            await producer.append(TOPIC, 0, RECORDS)

    on_uvloop(story())


def test_lanes_do_not_wait_for_each_others_acknowledgements() -> None:
    """A broker that is slow on every connection stores the batches of eight lanes in time."""

    async def story() -> None:
        async with fake_broker(LANES, ack_seconds=0.25) as broker, connected(broker) as producer:
            for _ in range(3):
                await appends_of_all_lanes(producer)
            assert broker.most_connections <= LANES + 2  # metadata has one, and so has the first contact

    on_uvloop(story())


def test_one_append_without_an_answer_fails_within_its_bound_and_ends_all_idle_connections() -> None:
    """No later append loses the same time on a connection that was made before the network forgot them all."""

    async def story() -> None:
        async with fake_broker(LANES, ack_seconds=0.2) as broker, connected(broker) as producer:
            await appends_of_all_lanes(producer)
            broker.silent = set(range(1, broker.made + 1))
            began = monotonic()
            with pytest.raises(KafkaError):
                await producer.append(TOPIC, 0, RECORDS)
            assert monotonic() - began < PATIENCE_SECONDS + SLACK_SECONDS
            await appends_of_all_lanes(producer)

    on_uvloop(story())


def test_a_connection_that_does_not_get_on_holds_up_no_other() -> None:
    async def story() -> None:
        async with fake_broker(LANES, ack_seconds=PATIENCE_SECONDS / 2) as broker, connected(broker) as producer:
            broker.silent = {broker.made + 1}
            first = asyncio.create_task(producer.append(TOPIC, 0, RECORDS))
            await eventually_async(lambda: broker.waiting)
            stuck = asyncio.create_task(producer.append(TOPIC, 1, RECORDS))
            await eventually_async(lambda: broker.made in broker.silent)
            await producer.append(TOPIC, 2, RECORDS)
            assert not stuck.done()
            await first
            with pytest.raises(KafkaError):
                await stuck

    on_uvloop(story())


def test_a_partition_whose_replicas_do_not_follow_fails_alone() -> None:
    """A request is answered when all its partitions are; partitions that share one must not pay for a slow one."""

    def depart(producer: Producer) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(producer.append(TOPIC, partition, RECORDS)) for partition in range(LANES)]

    async def story() -> None:
        async with fake_broker(LANES, ack_seconds=0.01) as broker, connected(broker) as producer:
            broker.stuck = {0}
            held_up = None
            for _ in range(3):
                stuck, *others = depart(producer)
                await asyncio.gather(*others)
                with pytest.raises(KafkaError):
                    await stuck
                held_up = held_up or broker.held_up
            assert broker.held_up == held_up, "once it has failed, no other partition waits for it"
            broker.stuck = set()
            await producer.append(TOPIC, 0, RECORDS)
            connections = broker.made
            await asyncio.gather(*depart(producer))
            assert broker.made == connections  # they share one request again

    on_uvloop(story())


def test_a_broker_that_is_too_old_is_named_as_such() -> None:
    async def story() -> None:
        async with fake_broker(LANES) as broker:
            broker.produces = 6
            async with connected(broker) as producer:
                with pytest.raises(KafkaError, match=r"Kafka 2\.1 or newer"):
                    await producer.append(TOPIC, 0, RECORDS)

    on_uvloop(story())
