"""
Knowledge about the brokers, and the life of connections to them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import conn
from aiokafka.errors import KafkaConnectionError, KafkaError, LeaderNotAvailableError, RequestTimedOutError
from aiokafka.protocol.metadata import MetadataRequest

from ingest.clock import Clock, SystemClock
from ingest.kafka.cluster import REFRESH_EVERY_SECONDS, Cluster
from sandbox.ports import free_port
from tests.behaviour.ingest.fake_broker import TOPIC, fake_broker
from tests.support.clock import FakeClock
from tests.support.wait import eventually_async

NODE = 1
PATIENCE_SECONDS = 0.5
UNKNOWN_TOPIC, NO_RIGHT = 3, 29


@asynccontextmanager
async def knowing(*ports: int, clock: Clock | None = None) -> AsyncIterator[Cluster]:
    """Give a cluster of the brokers at these ports, not asked yet."""
    servers = [f"127.0.0.1:{port}" for port in ports]
    cluster = Cluster({"bootstrap_servers": servers}, [TOPIC], PATIENCE_SECONDS, clock or SystemClock())
    try:
        yield cluster
    finally:
        await cluster.close()


async def use(cluster: Cluster) -> None:
    async with cluster.connection(NODE) as connection:
        await connection.send(MetadataRequest([TOPIC]))


async def test_partitions_and_their_leader_are_known_once_asked() -> None:
    async with fake_broker(4) as broker, knowing(broker.port) as cluster:
        with pytest.raises(LeaderNotAvailableError):
            cluster.leader(TOPIC, 0)
        await cluster.refresh()
        assert (cluster.partitions(TOPIC), cluster.leader(TOPIC, 3)) == (4, NODE)
        with pytest.raises(LeaderNotAvailableError):
            cluster.leader(TOPIC, 4)


@pytest.mark.parametrize(("error", "unseen"), [(UNKNOWN_TOPIC, False), (NO_RIGHT, True)])
async def test_a_hidden_topic_is_distinguished_from_a_missing_one(error: int, *, unseen: bool) -> None:
    async with fake_broker(4) as broker, knowing(broker.port) as cluster:
        await cluster.refresh()
        broker.topic_error = error
        await cluster.refresh()
        assert (cluster.partitions(TOPIC), cluster.may_not_see(TOPIC)) == (0, unseen)


async def test_a_broker_that_knows_no_brokers_says_nothing() -> None:
    async with fake_broker(4) as broker, knowing(broker.port) as cluster:
        await cluster.refresh()
        broker.knows_brokers = False
        with pytest.raises(KafkaError):
            await cluster.refresh()
        assert cluster.leader(TOPIC, 0) == NODE


async def test_the_configured_brokers_are_asked_when_all_others_are_gone() -> None:
    async with fake_broker(4) as broker, knowing(broker.port) as cluster:
        broker.advertised = free_port()
        await cluster.refresh()
        broker.advertised = None
        await cluster.refresh()
        await use(cluster)


async def test_settings_are_told_by_any_broker_that_answers() -> None:
    """Brokers that the settings name may be away, and so may the ones that the metadata name."""
    async with fake_broker(4) as broker, knowing(free_port(), broker.port, free_port()) as cluster:
        broker.settings[TOPIC] = {"cleanup.policy": "delete"}
        broker.advertised = free_port()
        await cluster.refresh()
        assert [await cluster.settings_of([TOPIC]) for _ in range(10)] == [{TOPIC: {"cleanup.policy": "delete"}}] * 10


async def test_a_setting_without_a_value_is_not_told() -> None:
    async with fake_broker(4) as broker, knowing(broker.port) as cluster:
        broker.settings[TOPIC] = {"cleanup.policy": "delete", "retention.bytes": None}
        await cluster.refresh()
        assert await cluster.settings_of([TOPIC]) == {TOPIC: {"cleanup.policy": "delete"}}


async def test_settings_that_no_broker_tells_are_an_error() -> None:
    async with knowing(free_port()) as cluster:
        with pytest.raises(KafkaConnectionError):
            await cluster.settings_of([TOPIC])


async def test_connections_to_an_address_without_a_broker_are_closed() -> None:
    async with fake_broker(4) as old, fake_broker(4) as new, knowing(new.port) as cluster:
        new.advertised = old.port
        await cluster.refresh()
        await use(cluster)
        assert old.connections == 1
        new.advertised = None
        old.advertised = new.port
        await cluster.refresh()
        await eventually_async(lambda: old.connections == 0)


async def test_a_request_without_an_answer_is_an_error_in_time_and_leads_to_asking_anew() -> None:
    clock = FakeClock()
    async with fake_broker(4) as broker, knowing(broker.port, clock=clock) as cluster:
        await cluster.refresh()
        broker.silent = {broker.made}
        asked = broker.asked
        clock.advance(REFRESH_EVERY_SECONDS + 0.01)
        with pytest.raises(RequestTimedOutError):
            await use(cluster)
        await eventually_async(lambda: broker.asked > asked + 1)


async def test_frequent_questions_are_answered_from_memory_for_a_while() -> None:
    clock = FakeClock()
    async with fake_broker(4) as broker, knowing(broker.port, clock=clock) as cluster:
        await cluster.refresh()
        asked = broker.asked
        for _ in range(50):
            cluster.refresh_soon()
            await asyncio.sleep(0)
        clock.advance(REFRESH_EVERY_SECONDS + 0.01)
        cluster.refresh_soon()
        await eventually_async(lambda: broker.asked > asked)
        assert broker.asked == asked + 1


@pytest.mark.parametrize("error", [ValueError("odd"), OSError(113, "No route to host"), AssertionError(), EOFError()])
async def test_every_error_of_aiokafka_becomes_one_kind(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async with fake_broker(4) as broker, knowing(broker.port) as cluster:
        await cluster.refresh()

        def broken(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(conn.AIOKafkaConnection, "send", broken)
        with pytest.raises(KafkaConnectionError) as raised:
            await use(cluster)
        assert raised.value.args[0] in ("No route to host", repr(error))


async def test_a_host_name_that_cannot_be_one_is_an_error_like_any_other() -> None:
    cluster = Cluster({"bootstrap_servers": ["kafka..example.com:9092"]}, [TOPIC], PATIENCE_SECONDS, FakeClock())
    with pytest.raises(KafkaConnectionError):
        await cluster.refresh()
    await cluster.close()


async def test_a_caller_that_gives_up_takes_the_answer_from_no_other() -> None:
    async with fake_broker(4) as broker, knowing(broker.port) as cluster:
        impatient = asyncio.create_task(cluster.refresh())
        patient = asyncio.create_task(cluster.refresh())
        await asyncio.sleep(0)
        impatient.cancel()
        await patient
        assert broker.asked == 1


async def test_a_connection_that_could_not_be_made_leaves_the_working_ones() -> None:
    async with fake_broker(4) as broker, knowing(broker.port) as cluster:
        await cluster.refresh()
        kept = broker.connections
        async with cluster.connection(NODE):
            broker.silent = {broker.made + 1}
            with pytest.raises(RequestTimedOutError):
                await use(cluster)
        await eventually_async(lambda: broker.connections == kept)
        await use(cluster)
        assert broker.connections == kept
