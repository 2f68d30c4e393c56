"""
Reading topics from end to end, straight from Kafka.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from sandbox.audit.errors import SourceError

_CONNECT_SECONDS: Final = 5.0
_POLL_MS: Final = 500


@dataclass(frozen=True, slots=True)
class Values:
    """Every decoded value of a topic, in the order of `records`; each time read anew, so that none has to be kept."""

    bootstrap_servers: str
    topic: str

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (orjson.loads(value) for _, value in records(self.bootstrap_servers, self.topic) if value)


def records(bootstrap_servers: str, topic: str) -> Iterator[tuple[bytes | None, bytes | None]]:
    """
    Yield key and value of every record up to the end that a topic has now, partition by partition in order.

    So the last record of a key is its latest. Raises SourceError when Kafka does not answer.
    """
    try:
        _require_listener(bootstrap_servers)
        yield from _read(bootstrap_servers, topic)
    except (KafkaError, OSError) as error:
        raise SourceError(f"Kafka does not answer at {bootstrap_servers}: {error}") from error


def _require_listener(bootstrap_servers: str) -> None:
    """Raise OSError when no process listens: kafka-python's client would retry for long and leave sockets open."""
    host, _, port = bootstrap_servers.partition(",")[0].rpartition(":")
    socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()


def _read(bootstrap_servers: str, topic: str) -> Iterator[tuple[bytes | None, bytes | None]]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=None, enable_auto_commit=False)
    try:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        ends = consumer.end_offsets(partitions)
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for batch in consumer.poll(timeout_ms=_POLL_MS).values():
                yield from ((record.key, record.value) for record in batch)
    finally:
        consumer.close()
