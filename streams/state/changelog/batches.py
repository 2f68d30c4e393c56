"""
Sending to Kafka: batches that the broker appends whole or not at all, acknowledged by all in-sync replicas.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from operator import attrgetter
from typing import Final

from aiokafka import AIOKafkaProducer

from streams.contract.headers import with_erasures
from streams.domain.stage import Output
from streams.program.record_batch import RecordBatch
from streams.state.changelog.fence import ProducerEpoch, renewed
from streams.state.changelog.private_names import Finished
from streams.state.guards import ALL_GUARDS, Guards
from streams.state.turns import Turns

MAX_BATCH_BYTES: Final = 15 << 20
"""The largest batch; below `max.message.bytes` of the changelogs, which counts its header too."""

_KEY_OF, _VALUE_OF, _HEADERS_OF, _ERASURES_OF = map(attrgetter, ("key", "value", "headers", "erasures"))

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
    Writes through one aiokafka producer, which must have `acks=all` and no idempotence: a batch has its own epoch.

    Batches are built one after the other, each in a turn of its own. They are not compressed, even by a producer
    that is set to compress.
    """

    def __init__(self, producer: AIOKafkaProducer, turns: Turns | None = None, guards: Guards = ALL_GUARDS) -> None:
        self._producer = producer
        self._turns = turns or Turns()
        self._guards = guards

    async def send(
        self, topic: str, partition: int, rows: Mapping[bytes, bytes | None], writer: ProducerEpoch | None = None
    ) -> tuple[int, int]:
        """
        Append rows (None: deleted) as one batch; return the offsets of the first and the last.

        With a writer, raises aiokafka.errors.ProducerFenced when the broker has seen a newer epoch. Raises KafkaError
        when the broker does not acknowledge the batch, BatchTooLargeError before anything is sent.
        """
        return await self._send(topic, partition, partial(RecordBatch, rows.keys(), rows.values()), writer)

    async def _send(
        self, topic: str, partition: int, build: Callable[[int], RecordBatch], writer: ProducerEpoch | None
    ) -> tuple[int, int]:
        await self._turns.offer()
        batch = build(int(time.time() * 1000))
        if batch.size > MAX_BATCH_BYTES:
            raise BatchTooLargeError(f"{topic}[{partition}]: more than {MAX_BATCH_BYTES} bytes in one checkpoint")
        if writer is not None and self._guards.fence:
            writer.stamp(batch, topic, partition)
        # aiokafka accepts a batch only when no other batch of this partition waits: batches keep their order.
        acknowledged = await self._producer.send_batch(Finished(batch), topic, partition=partition)
        first = (await acknowledged).offset
        if writer is not None:
            writer.confirm(topic, partition, first)
        return first, first + batch.count - 1

    async def renewed(self, writer: ProducerEpoch) -> ProducerEpoch:
        """Return the writer's successor with the next epoch; no batch of the writer may be in flight."""
        return await renewed(self._producer.client, writer)

    async def send_all(
        self, topic: str, partition: int, outputs: Sequence[Output], writer: ProducerEpoch | None = None
    ) -> None:
        """
        Append all outputs in order, in as many batches as needed; each is acknowledged before the next is sent.

        Raises as `send` does.
        """
        for chunk in _chunks(outputs):
            await self._send(topic, partition, partial(_of_outputs, chunk), writer)


def _of_outputs(outputs: Sequence[Output], now: int) -> RecordBatch:
    headers = [*map(_HEADERS_OF, outputs)]
    erasures = {*map(_ERASURES_OF, outputs)}
    if len(erasures) == 1 and (digest := erasures.pop()) is not None:
        headers[0] = with_erasures(headers[0], digest, len(outputs))
    return RecordBatch(map(_KEY_OF, outputs), map(_VALUE_OF, outputs), now, headers)


def bundled(outputs: Sequence[Output]) -> list[Output]:
    """Join the values of outputs of one topic, in order, as the lines of fewer without keys; none of these is large."""
    chunks = [[output.value for output in chunk] for chunk in _chunks(outputs)]
    step = _MAX_LINES_PER_BUNDLE
    bundles = (b"\n".join(lines[at : at + step]) for lines in chunks for at in range(0, len(lines), step))
    return [Output(outputs[0].topic, None, bundle) for bundle in bundles]


def _chunks(outputs: Sequence[Output]) -> Iterator[Sequence[Output]]:
    """Split outputs so that no chunk of several exceeds the default `max.message.bytes` of a topic."""
    reached = [0, *accumulate(_most_bytes(outputs))]
    begin = 0
    while begin < len(outputs):
        end = max(bisect_right(reached, reached[begin] + _CHUNK_BYTES) - 1, begin + 1)
        yield outputs[begin:end]
        begin = end


def _most_bytes(outputs: Sequence[Output]) -> list[int]:
    """Return the most that each output can take in a batch."""
    return [
        # Of the headers only the last one, the campaign, may be long.
        _RECORD_OVERHEAD
        + len(one.key or b"")
        + len(one.value)
        + (_HEADERS_BYTES + len(one.headers[-1][1]) if one.headers else 0)
        for one in outputs
    ]
