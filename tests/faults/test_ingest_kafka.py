"""
Ingest under faults of Kafka and of the wire to it.

Every 200 is in Kafka as it was posted, no client waits longer than Routee does, and ingest recovers by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from streams.contract.topics import CALLBACKS_RAW
from tests.integration.ingest.process import Ingest, Load, environment, ingest
from tests.integration.ingest.topics import assert_stored_as_posted, create_topics
from tests.support.fault_proxy import FaultProxy
from tests.support.wait import eventually, eventually_async

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]
full = pytest.mark.full

RECOVERED_SECONDS = 5.0
ROUTEE_WAITS_SECONDS = 2.0
CLIENTS, PAUSE_SECONDS = 12, 0.005
NO_LEADER = -1


@dataclass
class Scene:
    """Ingest under load, over a Kafka that gets into trouble."""

    kafka: KafkaCluster
    prefix: str
    server: Ingest
    load: Load

    async def more_refused(self, count: int) -> None:
        """Return when so many more callbacks were answered otherwise than 200."""
        before = self.load.refused
        await eventually_async(lambda: self.load.refused >= before + count, deadline=60)

    async def more_stored(self, count: int) -> None:
        """Return when so many more callbacks were answered 200."""
        before = len(self.load.stored)
        await eventually_async(lambda: len(self.load.stored) >= before + count, deadline=60)

    async def is_ready(self) -> bool:
        """Ask for it without standing in the way of the clients and of the wire to Kafka."""
        return await asyncio.to_thread(self.server.is_ready)

    async def recovers(self) -> None:
        """Assert that callbacks are stored again, in all partitions, soon after the fault's end."""
        began = self.load.now()
        await asyncio.to_thread(eventually, self.server.is_ready, 60)
        refused = -1
        while self.load.refused != refused:
            refused = self.load.refused
            await self.more_stored(100)
        assert self.load.now() - began < RECOVERED_SECONDS

    async def conserves(self) -> None:
        """Assert that no client waited too long or was cut off, and that every 200 is in Kafka."""
        await self.load.stop()
        assert self.load.cut == 0
        assert self.load.slowest_seconds < ROUTEE_WAITS_SECONDS
        await asyncio.to_thread(
            assert_stored_as_posted, self.kafka.bootstrap_servers, CALLBACKS_RAW.name(self.prefix), self.load.stored
        )


@asynccontextmanager
async def at_work(kafka: KafkaCluster, prefix: str, folder: Path, replicas: int = 1) -> AsyncIterator[Scene]:
    """Run ingest under load within the block."""
    await asyncio.to_thread(create_topics, kafka.bootstrap_servers, prefix, replicas=replicas)
    with ingest(folder, environment(kafka.bootstrap_servers, prefix)) as server:
        scene = Scene(kafka, prefix, server, Load(server.port, pause_seconds=PAUSE_SECONDS))
        await asyncio.to_thread(eventually, server.is_ready)
        scene.load.start(CLIENTS)
        try:
            await scene.more_stored(300)
            yield scene
        finally:
            await scene.load.stop()


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KafkaCluster, Callable[[], FaultProxy]]]:
    """Give a broker that sends its clients to a proxy, and how to make that proxy."""
    port, before = free_port(), free_port()
    advertised = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{before}"}
    with KafkaCluster(tmp_path_factory.mktemp("proxied"), port, properties=advertised) as cluster:
        yield cluster, lambda: FaultProxy(before, port)


async def cut(scene: Scene, proxy: FaultProxy) -> None:
    proxy.cut()
    await scene.more_refused(50)
    assert not await scene.is_ready()


async def half_open(scene: Scene, proxy: FaultProxy) -> None:
    proxy.swallow()
    await scene.more_refused(50)
    assert not await scene.is_ready()


async def half_a_second(scene: Scene, proxy: FaultProxy) -> None:
    """Slow is not away: callbacks are stored all the while."""
    proxy.delay(0.5)
    refused = scene.load.refused
    await scene.more_stored(100)
    assert scene.load.refused == refused
    assert scene.load.slowest_seconds > 0.5


async def three_seconds(scene: Scene, proxy: FaultProxy) -> None:
    """Too slow for any success in time."""
    proxy.delay(3.0)
    await scene.more_refused(100)


async def flapping(scene: Scene, proxy: FaultProxy) -> None:
    """Each fault begins before ingest has got over the one before."""
    for fault in (proxy.cut, proxy.swallow, lambda: proxy.delay(3.0)) * 3:
        fault()
        await scene.more_refused(10)
        proxy.restore()
        await scene.more_stored(1)


Fault = Callable[[Scene, FaultProxy], Awaitable[None]]


@pytest.mark.parametrize(
    "fault",
    [
        cut,
        half_open,
        pytest.param(half_a_second, marks=full),
        pytest.param(three_seconds, marks=full),
        pytest.param(flapping, marks=full),
    ],
)
async def test_under_faults_of_the_wire_every_200_is_in_kafka_as_posted(
    proxied: tuple[KafkaCluster, Callable[[], FaultProxy]], topic_prefix: str, tmp_path: Path, fault: Fault
) -> None:
    kafka, make_proxy = proxied
    async with make_proxy() as proxy, at_work(kafka, topic_prefix, tmp_path) as scene:
        await fault(scene, proxy)
        proxy.restore()
        await scene.recovers()
        await scene.conserves()


async def test_a_broker_that_is_killed_and_comes_back(
    proxied: tuple[KafkaCluster, Callable[[], FaultProxy]], topic_prefix: str, tmp_path: Path
) -> None:
    kafka, make_proxy = proxied
    async with make_proxy(), at_work(kafka, topic_prefix, tmp_path) as scene:
        await asyncio.to_thread(kafka.kill_broker, 1)
        await scene.more_refused(50)
        assert not await scene.is_ready()
        await asyncio.to_thread(kafka.start_broker, 1)
        await scene.recovers()
        await scene.conserves()


@pytest.mark.parametrize("fault", [half_open, pytest.param(cut, marks=full)])
async def test_sigterm_without_kafka_leaves_no_client_without_an_answer(
    proxied: tuple[KafkaCluster, Callable[[], FaultProxy]], topic_prefix: str, tmp_path: Path, fault: Fault
) -> None:
    kafka, make_proxy = proxied
    async with make_proxy() as proxy, at_work(kafka, topic_prefix, tmp_path) as scene:
        await fault(scene, proxy)
        assert await asyncio.to_thread(scene.server.stop) == 0
        proxy.restore()
        await scene.conserves()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Give three brokers, of which two must have every record."""
    with KafkaCluster(tmp_path_factory.mktemp("three"), free_port(3), brokers=3) as cluster:
        yield cluster


async def leader(kafka: KafkaCluster, topic: str) -> int:
    """Return the broker that leads the topic's first partition, as the running brokers know it."""
    client = AIOKafkaClient(bootstrap_servers=kafka.bootstrap_servers)
    try:
        await client.bootstrap()
        cluster = await client.fetch_all_metadata()
    finally:
        await client.close()
    return int(cluster.leader_for_partition(TopicPartition(topic, 0)))


@full
async def test_the_leader_of_three_brokers_killed(three: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    async with at_work(three, topic_prefix, tmp_path, replicas=3) as scene:
        name = CALLBACKS_RAW.name(topic_prefix)
        victim = await leader(three, name)
        await asyncio.to_thread(three.kill_broker, victim)
        while await leader(three, name) in {victim, NO_LEADER}:
            pass
        await scene.recovers()
        await asyncio.to_thread(three.start_broker, victim)
        await scene.recovers()
        await scene.conserves()


@full
async def test_two_of_three_brokers_away(three: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    """The remaining broker takes no record alone: min.insync.replicas is not met."""
    async with at_work(three, topic_prefix, tmp_path, replicas=3) as scene:
        for broker in (1, 2):
            await asyncio.to_thread(three.stop_broker, broker)
        await scene.more_refused(100)
        stored = len(scene.load.stored)
        await scene.more_refused(100)
        assert len(scene.load.stored) == stored
        for broker in (1, 2):
            await asyncio.to_thread(three.processes[broker].start)
        await asyncio.to_thread(three.wait_ready)
        await scene.recovers()
        await scene.conserves()
