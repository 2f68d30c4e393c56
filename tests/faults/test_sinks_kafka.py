"""
`routee-sinks` while Kafka is away: it says so, and goes on when Kafka is back.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from tests.behaviour.sinks.kafka_topics import Topics, create_topics
from tests.faults.sinks_load import Load
from tests.faults.test_sinks_files import Folder, expect_topic
from tests.integration.sinks.conftest import PARTITIONS
from tests.integration.sinks.running import Running, Sink
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.full, pytest.mark.timeout(240)]


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaCluster]:
    """Give a broker of its own: it will be stopped."""
    with KafkaCluster(tmp_path / "kafka", free_port()) as cluster:
        yield cluster


def produce_and_expect(kafka: KafkaCluster, folder: Folder, seed: int) -> None:
    """Put records on the topic and see them all in the files; no client of ours stays to miss the broker."""
    topics = Topics(kafka.bootstrap_servers, "own.")
    try:
        with Load(topics, 500, per_second=1_000, seed=seed) as load:
            load.finish()
        expect_topic(topics, folder)
    finally:
        topics.close()


def start_reading(kafka: KafkaCluster, running: Running, root: Path, seed: int) -> tuple[Sink, Folder]:
    """Start a sink of files on topics that are new, and return when it reads each partition and is ready."""
    create_topics(kafka.bootstrap_servers, "own.", PARTITIONS)
    folder = Folder(root, "parquet")
    address = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "KAFKA_TOPIC_PREFIX": "own."}
    sink = running.start("files", **folder.settings, **address)
    produce_and_expect(kafka, folder, seed)
    assert sink.get("/readyz")[0] == 200
    return sink, folder


def test_it_is_not_ready_while_kafka_is_away_and_goes_on_where_it_was(
    own_kafka: KafkaCluster, running: Running, tmp_path: Path
) -> None:
    sink, folder = start_reading(own_kafka, running, tmp_path / "files", seed=5)
    own_kafka.stop()
    eventually(lambda: sink.get("/readyz")[1].startswith("kafka: no answer for "), 60)
    assert sink.get("/livez")[0] == 200
    own_kafka.start()
    produce_and_expect(own_kafka, folder, seed=6)
    eventually(lambda: sink.get("/readyz")[0] == 200, 60)


@pytest.fixture
def two_brokers(tmp_path: Path) -> Iterator[KafkaCluster]:
    """Give two brokers of one's own, each of which leads half of the partitions alone."""
    with KafkaCluster(tmp_path / "two", free_port(together=2), brokers=2) as cluster:
        yield cluster


def coordinator(bootstrap_servers: str, group: str) -> int:
    """Return the number of the broker that leads a group."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=group)
    try:
        assert consumer._coordinator.ensure_coordinator_ready(timeout_ms=30_000)
        return int(str(consumer._coordinator.coordinator_id).rpartition("-")[2])
    finally:
        consumer.close()


def test_it_is_not_ready_while_the_leader_of_some_partitions_is_away_though_its_group_answers(
    two_brokers: KafkaCluster, running: Running, tmp_path: Path
) -> None:
    """No record of these partitions arrives: without a word it would look as if none was sent."""
    sink, _ = start_reading(two_brokers, running, tmp_path / "files", seed=7)
    (other,) = {1, 2} - {coordinator(two_brokers.bootstrap_servers, "own.sinks-files")}
    two_brokers.kill_broker(other)
    eventually(lambda: sink.get("/readyz")[1].startswith("kafka: no answer for "), 60)
    two_brokers.start_broker(other)
    eventually(lambda: sink.get("/readyz")[0] == 200, 60)


def test_it_is_not_ready_while_the_leader_of_some_partitions_is_frozen(
    two_brokers: KafkaCluster, running: Running, tmp_path: Path
) -> None:
    """Its connections stay open: the client alone would notice after 30 s, and it would be told 15 s later."""
    sink, _ = start_reading(two_brokers, running, tmp_path / "files", seed=8)
    (other,) = {1, 2} - {coordinator(two_brokers.bootstrap_servers, "own.sinks-files")}
    frozen = two_brokers.pids[other]
    os.kill(frozen, signal.SIGSTOP)
    try:
        eventually(lambda: sink.get("/readyz")[1].startswith("kafka: no answer for "), 35)
    finally:
        os.kill(frozen, signal.SIGCONT)
    eventually(lambda: sink.get("/readyz")[0] == 200, 60)
