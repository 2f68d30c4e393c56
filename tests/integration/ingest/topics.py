"""
The topics of ingest on the real Kafka: made for a test, and read back whole.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator

import orjson
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from ingest.callback.envelope import RawRecord
from ingest.kafka.topics import TOPICS

PARTITIONS = 4


def body_of(key: str) -> bytes:
    """Return the callback that a load posts under a key."""
    return json.dumps({"messageId": key, "message": "x" * 300}).encode()


def create_topics(servers: str, prefix: str, partitions: int = PARTITIONS, replicas: int = 1) -> None:
    """Create the topics that ingest writes as they should be, and return when the broker knows."""
    client = KafkaAdminClient(bootstrap_servers=servers)
    try:
        client.create_topics(
            {
                topic.name(prefix): {
                    "num_partitions": partitions,
                    "replication_factor": replicas,
                    "configs": topic.config_with(replicas),
                }
                for topic in TOPICS
            }
        )
        client.wait_for_topics([topic.name(prefix) for topic in TOPICS], timeout_ms=60_000)
    finally:
        client.close()


def records_in(servers: str, name: str) -> Iterator[tuple[int, RawRecord]]:
    """Yield every record that a topic holds now, with its partition; those of one partition in order."""
    consumer = KafkaConsumer(bootstrap_servers=servers, group_id=None, enable_auto_commit=False)
    try:
        places = [TopicPartition(name, partition) for partition in sorted(consumer.partitions_for_topic(name) or ())]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        consumer.seek_to_beginning(*places)
        while any(consumer.position(place) < ends[place] for place in places):
            for place, messages in consumer.poll(timeout_ms=1000).items():
                yield from ((place.partition, RawRecord(message.key, message.value)) for message in messages)
    finally:
        consumer.close()


def read_partitions(servers: str, name: str) -> dict[int, list[RawRecord]]:
    """Return every record that a topic holds now, by partition, in order."""
    found: defaultdict[int, list[RawRecord]] = defaultdict(list)
    for partition, record in records_in(servers, name):
        found[partition].append(record)
    return found


def callbacks_in(servers: str, name: str) -> Iterator[dict[str, object]]:
    """Yield every callback of the envelopes that a topic holds now."""
    for _, record in records_in(servers, name):
        yield from orjson.loads(record.value)["callbacks"]


def assert_stored_as_posted(servers: str, name: str, keys: Collection[str]) -> None:
    """Hold that every one of these callbacks of a load is in the topic, and every byte of it as it was posted."""
    stored: set[str] = set()
    for _, record in records_in(servers, name):
        found = [str(callback["messageId"]) for callback in orjson.loads(record.value)["callbacks"]]
        assert record.value.endswith(b'"callbacks":[' + b",".join(map(body_of, found)) + b"]}")
        stored.update(found)
    missing = set(keys) - stored
    assert not missing, f"{len(missing)} of {len(keys)} callbacks that were answered 200 are not in Kafka"
