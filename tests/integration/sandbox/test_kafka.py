import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from kafka import KafkaConsumer, KafkaProducer

from sandbox.broker_folder import is_formatted
from sandbox.errors import PortTakenError, StartError
from sandbox.kafka import KafkaCluster
from sandbox.ports import LOOPBACK, free_port

pytestmark = pytest.mark.kafka


@asynccontextmanager
async def admin(cluster: KafkaCluster) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap_servers)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def create_topic(cluster: KafkaCluster, name: str, replicas: int = 1, compression: str = "producer") -> None:
    topic = NewTopic(name, 1, replicas, topic_configs={"compression.type": compression})
    async with admin(cluster) as client:
        await client.create_topics([topic])


async def produce(cluster: KafkaCluster, topic: str, value: bytes, patience_ms: int = 30_000) -> None:
    options = {"acks": "all", "request_timeout_ms": patience_ms}
    async with AIOKafkaProducer(bootstrap_servers=cluster.bootstrap_servers, **options) as producer:
        await producer.send_and_wait(topic, value)


async def everything(cluster: KafkaCluster, topic: str) -> list[bytes]:
    partition = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=cluster.bootstrap_servers, auto_offset_reset="earliest") as consumer:
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        return [(await consumer.getone()).value for _ in range(end)]


async def test_it_is_a_real_kafka_that_makes_no_topic_unasked(kafka: KafkaCluster, topic_prefix: str) -> None:
    with pytest.raises(KafkaError):
        await produce(kafka, f"{topic_prefix}unasked", b"x", patience_ms=500)
    await create_topic(kafka, f"{topic_prefix}asked")
    await produce(kafka, f"{topic_prefix}asked", b"1")
    assert await everything(kafka, f"{topic_prefix}asked") == [b"1"]
    async with admin(kafka) as client:
        assert f"{topic_prefix}unasked" not in await client.list_topics()


@pytest.mark.parametrize(("sent", "stored"), [("lz4", "gzip"), (None, "lz4")])
async def test_the_broker_reads_and_writes_lz4(
    kafka: KafkaCluster, topic_prefix: str, sent: str | None, stored: str
) -> None:
    """A topic with a compression of its own has the broker compress each record anew, with the codec of its jars."""
    topic = f"{topic_prefix}{stored}"
    await create_topic(kafka, topic, compression=stored)
    value = os.urandom(1000) + bytes(99_000)
    # aiokafka knows no lz4 without one more package.
    with KafkaProducer(bootstrap_servers=kafka.bootstrap_servers, compression_type=sent) as producer:
        producer.send(topic, value).get(30)
    with KafkaConsumer(topic, bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest") as consumer:
        assert next(consumer).value == value


def test_the_storage_tool_runs_once_for_all_folders(
    kafka: KafkaCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kafka.processes[1].is_running  # it, or one before it, left what the next folder needs
    monkeypatch.setattr("sandbox.process.Process.require_success", lambda *_: pytest.fail("the tool ran again"))
    with KafkaCluster(tmp_path, free_port()) as cluster:
        assert cluster.processes[1].is_running
        assert is_formatted(tmp_path / "broker-1")


async def test_topics_and_records_survive_a_stop_and_a_kill(tmp_path: Path) -> None:
    with KafkaCluster(tmp_path, free_port()) as cluster:
        await create_topic(cluster, "t")
        await produce(cluster, "t", b"before the stop")
    assert not cluster.processes[1].is_running

    with KafkaCluster(tmp_path, free_port()) as cluster:
        await produce(cluster, "t", b"before the kill")
        os.kill(cluster.pids[1], signal.SIGKILL)
        cluster.processes[1].wait(5)
        cluster.start_broker(1)
        assert await everything(cluster, "t") == [b"before the stop", b"before the kill"]


async def test_three_brokers_take_records_with_one_of_them_dead_and_none_with_two(tmp_path: Path) -> None:
    with KafkaCluster(tmp_path, free_port(together=3), brokers=3) as cluster:
        await create_topic(cluster, "t", replicas=3)
        await produce(cluster, "t", b"three")
        cluster.kill_broker(2)
        await produce(cluster, "t", b"two")
        cluster.kill_broker(3)
        with pytest.raises(KafkaError):
            await produce(cluster, "t", b"one", patience_ms=1000)
        cluster.start_broker(2)
        cluster.start_broker(3)
        await produce(cluster, "t", b"three again")
        found = await everything(cluster, "t")
        assert [value for value in found if value != b"one"] == [b"three", b"two", b"three again"]


def test_a_port_in_use_is_one_line_with_the_variable_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"^port {port} is not free \(in use\): set SANDBOX_KAFKA_PORT"):
            KafkaCluster(tmp_path, port).start()
    assert list(tmp_path.iterdir()) == []


def test_a_broker_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    cluster = KafkaCluster(tmp_path, free_port(), properties={"num.network.threads": "none"})
    with pytest.raises(StartError, match=r"(kafka-1|storage tool) ended with exit code 1: .*num\.network\.threads"):
        cluster.start()
    with KafkaCluster(tmp_path, free_port()) as cluster:
        pass
    (tmp_path / "broker-1" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=x\n")
    with pytest.raises(StartError, match=r"kafka-1 ended with exit code 1: .*node"):
        cluster.start()
