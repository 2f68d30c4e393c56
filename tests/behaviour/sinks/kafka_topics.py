"""
Topics on the real Kafka for tests of the sinks, and records on them.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.errors import PolicyViolationError, TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata, TopicPartition

from sinks.source import Record
from streams.contract.topics import (
    CALLBACKS_REJECTED,
    CAMPAIGN_PROGRESS,
    DELIVERY_ALARMS,
    DELIVERY_WINDOWS,
    ERASURES,
    SINKS_REJECTED,
    SMS_STATUS,
    Topic,
)
from tests.support.topic_settings import configure
from tests.support.wait import eventually

TOPICS = (
    SMS_STATUS,
    CAMPAIGN_PROGRESS,
    DELIVERY_WINDOWS,
    DELIVERY_ALARMS,
    CALLBACKS_REJECTED,
    SINKS_REJECTED,
    ERASURES,
)


def create_topics(bootstrap_servers: str, prefix: str, partitions: int) -> None:
    """
    Create the topics that the sinks read and write; returns when the broker has them.

    They keep the time that a test gives a record.
    """
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        _create(admin, TOPICS, prefix, partitions)
    finally:
        admin.close()


def _create(admin: Any, topics: Iterable[Topic], prefix: str, partitions: int) -> None:  # noqa: ANN401 - no types
    wanted = {
        topic.name(prefix): {
            "num_partitions": topic.partitions or partitions,
            "replication_factor": 1,
            "configs": topic.config_with(1) | {"message.timestamp.type": "CreateTime"},
        }
        for topic in topics
    }
    admin.create_topics(wanted)
    admin.wait_for_topics([*wanted], timeout_ms=60_000)


class Topics:
    """The topics under one prefix, from outside."""

    def __init__(self, bootstrap_servers: str, prefix: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self.prefix = prefix
        self._producer = KafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", linger_ms=5)

    def produce(self, suffix: str, values: Iterable[tuple[int, bytes | None]], timestamp: int | None = None) -> None:
        """Put (partition, value) pairs on a topic, in order; they are acknowledged when this returns."""
        sent = [
            self._producer.send(
                self.prefix + suffix, key=b"key", value=value, partition=partition, timestamp_ms=timestamp
            )
            for partition, value in values
        ]
        for future in sent:
            future.get(timeout=30)

    def everything(self, suffix: str) -> dict[tuple[int, int], bytes | None]:
        """Return the values of all records of a topic by (partition, offset)."""
        return {(record.partition, record.offset): record.value for record in self.whole(suffix)}

    def add(self, topic: Topic, partitions: int) -> None:
        """Create one more topic."""
        with self._admin() as admin:
            _create(admin, [topic], self.prefix, partitions)

    def whole(self, suffix: str) -> list[Record]:
        """Return all records of a topic, with their keys and headers."""
        consumer = KafkaConsumer(bootstrap_servers=self._bootstrap_servers, enable_auto_commit=False)
        topic = self.prefix + suffix
        try:
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            ends = consumer.end_offsets(partitions)
            found: list[Record] = []
            deadline = time.monotonic() + 60
            while any(consumer.position(partition) < end for partition, end in ends.items()):
                assert time.monotonic() < deadline
                for records in consumer.poll(timeout_ms=200, max_records=10_000).values():
                    found += [
                        Record(topic, one.partition, one.offset, one.timestamp, one.value, one.key, [*one.headers])
                        for one in records
                    ]
            return found
        finally:
            consumer.close()

    @contextmanager
    def _admin(self) -> Iterator[Any]:
        with closing(KafkaAdminClient(bootstrap_servers=self._bootstrap_servers)) as admin:
            yield admin

    def configure(self, suffix: str, config: Mapping[str, str]) -> None:
        """Change the configuration of a topic."""
        with self._admin() as admin:
            configure(admin, self.prefix + suffix, config)

    def expire(self, suffix: str, partition: int, before: int) -> None:
        """Delete the records below an offset, as retention does."""
        # Of a topic that is compacted only, Kafka deletes no record.
        self.configure(suffix, {"cleanup.policy": "compact,delete"})
        with self._admin() as admin:

            def is_deleted() -> bool:
                try:
                    admin.delete_records({TopicPartition(self.prefix + suffix, partition): before})
                except PolicyViolationError:
                    return False
                return True

            eventually(is_deleted)

    def delete(self, suffix: str) -> None:
        """Delete a topic."""
        with self._admin() as admin:
            admin.delete_topics([self.prefix + suffix])

    def make_anew(self, suffix: str, partitions: int) -> None:
        """Delete a topic and make one of that name."""
        name = self.prefix + suffix
        with self._admin() as admin:
            admin.delete_topics([name])
            eventually(lambda: _created(admin, name, partitions))
            admin.wait_for_topics([name], timeout_ms=60_000)

    def committed(self, group: str, suffix: str) -> dict[int, OffsetAndMetadata]:
        """Return what a group has committed, per partition."""
        with self._admin() as admin:
            (found,) = admin.list_group_offsets([self.prefix + group]).values()
        return {at.partition: offset for at, offset in found.items() if at.topic == self.prefix + suffix}

    def commit(self, group: str, suffix: str, position: int, note: str) -> None:
        """Commit a position in partition 0 for a group, which must have no members."""
        with closing(
            KafkaConsumer(
                bootstrap_servers=self._bootstrap_servers, group_id=self.prefix + group, enable_auto_commit=False
            )
        ) as consumer:
            partition = TopicPartition(self.prefix + suffix, 0)
            consumer.assign([partition])
            consumer.commit({partition: OffsetAndMetadata(position, note, -1)})

    def forget_commits(self, group: str) -> None:
        """Delete the commits of a group, which must have no members."""
        admin = KafkaAdminClient(bootstrap_servers=self._bootstrap_servers)
        try:
            admin.delete_groups([self.prefix + group])
        finally:
            admin.close()

    def close(self) -> None:
        """Close the producer."""
        self._producer.close()


def _created(admin: Any, name: str, partitions: int) -> bool:  # noqa: ANN401 - kafka-python has no types
    """Create a topic, and return whether that was possible: one of that name may not be gone yet."""
    try:
        admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1}})
    except TopicAlreadyExistsError:
        return False
    return True
