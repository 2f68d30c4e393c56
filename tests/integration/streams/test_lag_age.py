"""The age of a lag is that of a record, as the real Kafka dates it."""

import time

import pytest
from aiokafka import TopicPartition
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from sandbox.kafka import KafkaCluster
from streams.state.succession.reader import Reader

pytestmark = pytest.mark.kafka


async def test_the_first_record_from_an_offset_on_says_when_it_was_written(
    kafka: KafkaCluster, topic_prefix: str
) -> None:
    topic, now = f"{topic_prefix}raw", time.time_ns() // 1_000_000
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"message.timestamp.type": "CreateTime"})])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    for age in (7_200_000, 3_600_000, 0):
        producer.send(topic, b"a", partition=0, timestamp_ms=now - age).get(timeout=30)
    producer.close()
    reader = Reader({"bootstrap_servers": kafka.bootstrap_servers})
    partition = TopicPartition(topic, 0)
    assert [await reader.first_moment(partition, offset) for offset in range(4)] == [
        (now - 7_200_000) / 1000,
        (now - 3_600_000) / 1000,
        now / 1000,
        None,
    ]
    assert await reader.first_record(partition, 1) == 1
