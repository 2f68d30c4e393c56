"""
Kafka's Produce request as bytes, in its versions 3 to 8 (brokers since 0.11). Pure.

aiokafka writes it value by value and joins it from the inside out: all batches are copied six times.
"""

from collections.abc import Collection, Iterator, Sequence
from struct import Struct
from typing import Final

ALL_IN_SYNC: Final = -1
"""Acknowledged by all in-sync replicas."""

_NO_TRANSACTION: Final = -1

_HEAD: Final = Struct(">hhii")  # transaction's id, acks, timeout in ms, topics
_COUNT: Final = Struct(">i")
_LENGTH: Final = Struct(">h")
_BATCH: Final = Struct(">ii")  # partition, bytes


def produce_parts(
    acks: int, timeout_ms: int, batches_of: Collection[tuple[str, Sequence[tuple[int, bytes | bytearray]]]]
) -> Iterator[bytes | bytearray]:
    """
    Yield what comes behind the request's header: the batches themselves, not copies of them.

    `batches_of` has a topic's partitions with a batch each; `timeout_ms` is how long the broker waits for replicas.
    """
    yield _HEAD.pack(_NO_TRANSACTION, acks, timeout_ms, len(batches_of))
    for topic, batches in batches_of:
        name = topic.encode()
        yield _LENGTH.pack(len(name)) + name + _COUNT.pack(len(batches))
        for partition, batch in batches:
            yield _BATCH.pack(partition, len(batch))
            yield batch
