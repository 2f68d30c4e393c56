"""
The age of a callback when the progress of its campaign first contains it.

Each campaign lives in one source partition, so a progress record whose last receipt is not before that of an envelope
contains the envelope.
"""

import time
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import orjson
from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition

from streams.contract.codec import format_time
from streams.contract.keys import partition_of
from streams.contract.topics import CALLBACKS_RAW, CAMPAIGN_PROGRESS
from tests.bench.callbacks import PARTITIONS, body, envelope_of

PER_ENVELOPE: Final = 50
_SECONDS: Final = 10.0
_DEADLINE_SECONDS: Final = 30.0
_WARM_UP: Final = 0.2
"""The share of the envelopes at the beginning that is not counted."""


def measure(servers: str, prefix: str, rate: int) -> list[float]:
    """Send callbacks at a steady rate for ten seconds; return the seconds that each envelope waited to be shown."""
    consumer = at_the_end(servers, CAMPAIGN_PROGRESS.name(prefix))
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=0)
    count = int(rate * _SECONDS / PER_ENVELOPE)
    envelopes = [bodies_of(number) for number in range(count)]
    unseen: dict[int, list[tuple[str, float]]] = {partition: [] for partition in range(PARTITIONS)}
    waits: list[float] = []
    started = time.monotonic()
    sent = 0
    while len(waits) < count and time.monotonic() - started < _SECONDS + _DEADLINE_SECONDS:
        while sent < count and time.monotonic() - started >= sent * PER_ENVELOPE / rate:
            partition, received_at = sent % PARTITIONS, format_time(datetime.now(UTC))
            value = envelope_of(envelopes[sent], received_at)
            producer.send(CALLBACKS_RAW.name(prefix), value, partition=partition)
            unseen[partition].append((received_at, time.monotonic()))
            sent += 1
        for records in consumer.poll(timeout_ms=2).values():
            for record in records:
                waits += _seen(unseen, orjson.loads(record.value))
    producer.close()
    consumer.close()
    if len(waits) < count:
        raise RuntimeError(f"{count - len(waits)} of {count} envelopes were not shown in {_DEADLINE_SECONDS:.0f} s")
    return waits[int(count * _WARM_UP) :]


def _seen(unseen: dict[int, list[tuple[str, float]]], progress: dict[str, str]) -> list[float]:
    """Return how long the envelopes waited that a progress record is the first to contain."""
    partition = int(progress["campaign_tracking_id"][-12:])
    waiting, now = unseen[partition], time.monotonic()
    shown = [sent for received_at, sent in waiting if received_at <= progress["last_received_at"]]
    unseen[partition] = waiting[len(shown) :]
    return [now - sent for sent in shown]


def bodies_of(number: int, campaign: int | None = None) -> list[bytes]:
    """Return the callbacks of one envelope: messages of one partition, all of one campaign, the partition's if any."""
    partition, at = number % PARTITIONS, format_time(datetime.now(UTC))
    found: list[str] = []
    candidate = number * PER_ENVELOPE * PARTITIONS * 100
    while len(found) < PER_ENVELOPE:
        candidate += 1
        message = str(UUID(int=candidate))
        if partition_of(message, PARTITIONS) == partition:
            found.append(message)
    tracked = partition if campaign is None else campaign
    return [body(message, tracked, "Delivered", at) for message in found]


def at_the_end(servers: str, topic: str) -> KafkaConsumer:
    """Return a consumer that is given what comes from now on."""
    consumer = KafkaConsumer(bootstrap_servers=servers, group_id=None, enable_auto_commit=False, fetch_max_wait_ms=10)
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    consumer.seek_to_end(*partitions)
    for partition in partitions:
        consumer.position(partition)
    return consumer
