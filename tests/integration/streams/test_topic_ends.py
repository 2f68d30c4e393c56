"""Records of the real Kafka go when their days are over: some are written with times of long ago."""

import time
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from streams.admin.topics import connect
from streams.contract.topics import ALL_TOPICS, CALLBACKS_REJECTED, SMS_STATUS
from streams.program.settings import CommonSettings, load_settings
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka

_DAY_MS = 86_400_000
_PREFIX = "ends."
# Compaction joins segments that fit into one: two of these do not.
_VALUE = b"x" * 600_000
# Topics as version 0.1.0 made them, with the defaults of the brokers for all else: 7 days, once anything is deleted.
_BEFORE = {
    SMS_STATUS: {"cleanup.policy": "compact", "min.compaction.lag.ms": str(_DAY_MS)},
    CALLBACKS_REJECTED: {"cleanup.policy": "delete", "retention.ms": str(30 * _DAY_MS)},
}


def write(cluster: KafkaCluster, topic: str) -> None:
    """Write records of some days ago, each far enough from the next for a segment of its own."""
    producer = KafkaProducer(bootstrap_servers=cluster.bootstrap_servers)
    now = time.time_ns() // 1_000_000
    for days in (40, 20, 3, 0):
        producer.send(topic, _VALUE, key=b"%d" % days, partition=0, timestamp_ms=now - days * _DAY_MS).get(timeout=30)
    producer.close()


def days_left(cluster: KafkaCluster, topic: str) -> list[int]:
    """Return the records that are left, by their days."""
    consumer = KafkaConsumer(bootstrap_servers=cluster.bootstrap_servers)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    end, found = consumer.end_offsets([partition])[partition], list[int]()
    while consumer.position(partition) < end:
        for records in consumer.poll(timeout_ms=500).values():
            found += [int(record.key) for record in records]
    consumer.close()
    return found


def test_altered_topics_keep_their_days_and_no_more(tmp_path: Path) -> None:
    """Also: the days of the brokers never count for a topic that was compacted only, not even for a moment."""
    properties = {
        "log.retention.check.interval.ms": "1000",
        "log.initial.task.delay.ms": "1000",
        "log.cleaner.backoff.ms": "500",
    }
    with KafkaCluster(tmp_path / "kafka", free_port(), properties=properties) as cluster:
        settings = load_settings(
            CommonSettings,
            env_file=None,
            kafka_bootstrap_servers=cluster.bootstrap_servers,
            kafka_topic_prefix=_PREFIX,
            kafka_partitions=1,
        )
        admin = KafkaAdminClient(bootstrap_servers=cluster.bootstrap_servers)
        for topic, config in _BEFORE.items():
            name = topic.name(_PREFIX)
            configs = {**config, "segment.ms": str(_DAY_MS), "segment.bytes": str(1 << 20)}
            wanted = {"num_partitions": 1, "replication_factor": 1, "configs": configs}
            admin.create_topics({name: wanted}, wait_for_metadata=True)
            write(cluster, name)
        admin.close()
        status, rejected = (topic.name(_PREFIX) for topic in _BEFORE)
        eventually(lambda: days_left(cluster, rejected) == [20, 3, 0])
        assert days_left(cluster, status) == [40, 20, 3, 0]
        with connect(settings) as topics:
            topics.create(ALL_TOPICS)
            altered = topics.alter()
            assert {*altered.made} == {*_BEFORE}
            assert topics.findings().problems == []
        eventually(lambda: days_left(cluster, status) == [20, 3, 0])
        eventually(lambda: days_left(cluster, rejected) == [3, 0])
        assert days_left(cluster, status) == [20, 3, 0]
