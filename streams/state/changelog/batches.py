"""
Sending to Kafka: batches that the broker appends whole or not at all, acknowledged by all in-sync replicas.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from streams.contract.headers import NO_HEADERS, Headers
from streams.state.changelog.fence import ProducerEpoch, renewed
from streams.state.guards import ALL_GUARDS, Guards
from streams.state.turns import Turns

KeyValue = tuple[bytes | None, bytes | None]
Record = tuple[bytes | None, bytes | None, Headers]

MAX_BATCH_BYTES: Final = 15 << 20
"""The largest batch; below `max.message.bytes` of the changelogs, which counts its header too."""

_CHUNK_BYTES: Final = 600_000
_RECORD_OVERHEAD: Final = 32
_HEADERS_BYTES: Final = 100
"""The most that the headers of a public record take, besides the id of its campaign."""

_MAX_LINES_PER_BUNDLE: Final = 100
"""The reader of a bundle changes a row for each line, and all these rows must fit in one checkpoint."""


class BatchTooLargeError(Exception):
    """Records that must be one batch exceed `MAX_BATCH_BYTES`."""


class Batches:
    """
    Writes through one aiokafka producer, which must have `acks=all` and take batches of `MAX_BATCH_BYTES`.

    Batches are built one after the other, each in a turn of its own.
    """

    def __init__(self, producer: AIOKafkaProducer, turns: Turns | None = None, guards: Guards = ALL_GUARDS) -> None:
        self._producer = producer
        self._turns = turns or Turns()
        self._guards = guards

    async def send(
        self, topic: str, partition: int, rows: Iterable[KeyValue], writer: ProducerEpoch | None = None
    ) -> tuple[int, int]:
        """
        Append rows as one batch; return the offsets of the first and the last.

        With a writer, raises aiokafka.errors.ProducerFenced when the broker has seen a newer epoch. Raises KafkaError
        when the broker does not acknowledge the batch, BatchTooLargeError before anything is sent.
        """
        return await self._send(topic, partition, ((key, value, NO_HEADERS) for key, value in rows), writer)

    async def _send(
        self, topic: str, partition: int, records: Iterable[Record], writer: ProducerEpoch | None
    ) -> tuple[int, int]:
        async with self._turns.one_at_a_time:
            batch = self._built(records)
            await self._turns.offer()
        if batch is None:
            raise BatchTooLargeError(f"{topic}[{partition}]: more than {MAX_BATCH_BYTES} bytes in one checkpoint")
        batch.close()
        if writer is not None and self._guards.fence:
            writer.stamp(batch, topic, partition)
        last = batch.record_count() - 1
        # aiokafka accepts a batch only when no other batch of this partition waits: batches keep their order.
        acknowledged = await self._producer.send_batch(batch, topic, partition=partition)
        first = (await acknowledged).offset
        if writer is not None:
            writer.confirm(topic, partition, first)
        return first, first + last

    def _built(self, records: Iterable[Record]) -> BatchBuilder | None:
        """Return a batch of all records, None when they do not fit in one."""
        batch = self._producer.create_batch()
        now = int(time.time() * 1000)
        for key, value, headers in records:
            if batch.append(key=key, value=value, timestamp=now, headers=headers) is None:
                return None
        return batch

    async def renewed(self, writer: ProducerEpoch) -> ProducerEpoch:
        """Return the writer's successor with the next epoch; no batch of the writer may be in flight."""
        return await renewed(self._producer.client, writer)

    async def send_all(
        self, topic: str, partition: int, records: Iterable[Record], writer: ProducerEpoch | None = None
    ) -> None:
        """
        Append all records in order, in as many batches as needed; each is acknowledged before the next is sent.

        Raises as `send` does.
        """
        for chunk in _chunks(records):
            await self._send(topic, partition, chunk, writer)


def bundled(records: Iterable[Record]) -> list[Record]:
    """Join the values of records, in order, as the lines of fewer records without keys; none of these is large."""
    chunks = [[value or b"" for _, value, _ in chunk] for chunk in _chunks(records)]
    step = _MAX_LINES_PER_BUNDLE
    bundles = (b"\n".join(lines[at : at + step]) for lines in chunks for at in range(0, len(lines), step))
    return [(None, bundle, NO_HEADERS) for bundle in bundles]


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Split records so that no chunk of several records exceeds the default `max.message.bytes` of a topic."""
    chunk: list[Record] = []
    room = _CHUNK_BYTES
    for record in records:
        key, value, headers = record
        size = (len(key) if key else 0) + (len(value) if value else 0) + _RECORD_OVERHEAD
        if headers:
            size += _HEADERS_BYTES + len(headers[-1][1])  # only the last one, the campaign, may be long
        room -= size
        if room < 0 and chunk:
            yield chunk
            chunk, room = [], _CHUNK_BYTES - size
        chunk.append(record)
    if chunk:
        yield chunk
