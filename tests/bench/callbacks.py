"""
Callbacks by the hundred thousand, as ingest writes them: all 20 fields, about 800 bytes, three statuses per SMS.
"""

import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final
from uuid import UUID

import orjson
from kafka import KafkaProducer

from streams.contract.codec import format_time
from streams.contract.keys import partition_of
from streams.contract.topics import CALLBACKS_RAW
from tests.builders import sms_callback

PARTITIONS: Final = 8
CAMPAIGNS: Final = 20
STEPS: Final = (("Queued", 30), ("Sent", 29), ("Delivered", 26))
"""Each status, and how many seconds ago it was reached."""

_TEXT: Final = (
    "Dear customer, the autumn sale starts tomorrow at nine in all our shops. Show this message at the till for "
    "15 per cent off. Text STOP to hear no more."
)

Body = tuple[int, bytes]
"""A callback and the partition it belongs to."""

Record = tuple[int, bytes | None, bytes]
"""Partition, key, value."""


def message_ids(count: int, seed: int = 1) -> list[str]:
    """Return ids of messages, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - the same load in every run
    return [str(UUID(int=chance.getrandbits(128))) for _ in range(count)]


def lives(count: int, *, half_in_one: bool = False, seed: int = 1) -> Iterator[Body]:
    """
    Yield about so many callbacks: every message queued, then every message sent, then every message delivered.

    That is the hardest order for a store: between two callbacks of a message come those of all the others.
    `half_in_one` puts half of all messages into one campaign; another seed makes other messages.
    """
    now, messages = datetime.now(UTC), message_ids(count // len(STEPS), seed)
    for status, seconds_ago in STEPS:
        at = format_time(now - timedelta(seconds=seconds_ago))
        for number, message in enumerate(messages):
            campaign = 0 if half_in_one and number % 2 else number % CAMPAIGNS
            yield partition_of(message, PARTITIONS), body(message, campaign, status, at)


def births(count: int, seed: int = 1) -> Iterator[Body]:
    """Yield the first callback of so many messages."""
    return islice(lives(count * len(STEPS), seed=seed), count)


def body(message: str, campaign: int, status: str, at: str, part: int = 1, parts: int = 1) -> bytes:  # noqa: PLR0917
    """Return one callback."""
    reason = {"detailedStatus": status, "description": "The SMS was sent and it was delivered to its recipient."}
    return orjson.dumps(
        sms_callback(
            status,
            at,
            message_id=message,
            sms_id=message[::-1] if part == 1 else f"{message[:0:-1]}{part}",
            part=part,
            parts=parts,
            campaign=tracking_id(campaign),
            reason=reason,
            message=_TEXT,
        )
    )


def tracking_id(campaign: int) -> str:
    """Return the id of a campaign by its number."""
    return f"c0ffee00-0000-4000-8000-{campaign:012d}"


def envelope_of(bodies: list[bytes], received_at: str) -> bytes:
    """Return the record that ingest writes for callbacks received together."""
    return f'{{"received_at":"{received_at}","callbacks":['.encode() + b",".join(bodies) + b"]}"


def envelopes(callbacks: Iterator[Body], per_envelope: int) -> Iterator[tuple[int, list[bytes]]]:
    """Yield callbacks as they share records, with their partition; the last ones of a partition may be fewer."""
    waiting: dict[int, list[bytes]] = {}
    for partition, one in callbacks:
        bodies = waiting.setdefault(partition, [])
        bodies.append(one)
        if len(bodies) == per_envelope:
            yield partition, waiting.pop(partition)
    yield from waiting.items()


def fill(bootstrap_servers: str, prefix: str, callbacks: Iterator[Body], per_envelope: int) -> int:
    """Write callbacks to the raw topic, so many per record, each record of one partition; return how many."""
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", linger_ms=20, batch_size=500_000)
    topic, received_at = CALLBACKS_RAW.name(prefix), format_time(datetime.now(UTC))
    count = 0
    for partition, bodies in envelopes(callbacks, per_envelope):
        count += len(bodies)
        producer.send(topic, envelope_of(bodies, received_at), partition=partition)
    producer.flush()
    producer.close()
    return count


def fill_unreadable(bootstrap_servers: str, prefix: str) -> int:
    """Write a record that is no envelope, and an envelope of callbacks without a status and without a key."""
    bodies = [b'{"messageId":"5b1c9f0a-0000-4000-8000-000000000001"}', b'{"status":{"name":"Sent"}}']
    values = [b"{", envelope_of(bodies, format_time(datetime.now(UTC)))]
    records = ((0, None, value) for value in values)
    return fill_single(bootstrap_servers, CALLBACKS_RAW.name(prefix), records) - 1 + len(bodies)


def fill_single(bootstrap_servers: str, topic: str, records: Iterable[Record]) -> int:
    """Write records to a topic as they are; return how many."""
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", linger_ms=20, batch_size=500_000)
    count = 0
    for partition, key, value in records:
        producer.send(topic, value, key=key, partition=partition)
        count += 1
    producer.flush()
    producer.close()
    return count
