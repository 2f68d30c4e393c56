"""
The bytes of a callback, from Kafka by the place that its record names, while Kafka keeps them.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from console.answers import why_silent
from console.errors import AwayError
from console.settings import ConsoleSettings
from streams.contract.topics import CALLBACKS_RAW
from streams.program.brokers import UnusableFilesError, client_options

_SECONDS: Final = 4.0
_AT_ONCE: Final = 4


class Callback(NamedTuple):
    """A callback as Routee sent it, but for repairs that its envelope notes."""

    topic: str
    body: bytes
    received_at: datetime
    repairs: tuple[str, ...]


class _Repaired(msgspec.Struct):
    index: int
    repairs: list[str] = []


class _Envelope(msgspec.Struct):
    callbacks: list[msgspec.Raw]
    repaired: list[_Repaired] = []


_ENVELOPES: Final = msgspec.json.Decoder(_Envelope)


class Callbacks:
    """Reads single records. AwayError when Kafka does not answer."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings
        self._topic = CALLBACKS_RAW.name(settings.kafka_topic_prefix)
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def at(self, partition: int, offset: int, index: int) -> Callback | None:
        """Return the callback at a place; None when Kafka has it no more, or never had."""
        async with self._room:
            try:
                return await asyncio.wait_for(self._read(partition, offset, index), _SECONDS)
            except TimeoutError:
                raise AwayError("Kafka did not answer in time") from None
            except (KafkaError, OSError, UnusableFilesError) as error:
                raise AwayError(f"Kafka does not answer ({why_silent(error)})") from error

    async def _read(self, partition: int, offset: int, index: int) -> Callback | None:
        consumer = AIOKafkaConsumer(
            group_id=None, enable_auto_commit=False, auto_offset_reset="none", **client_options(self._settings)
        )
        try:
            await consumer.start()
            if not 0 <= partition < self._settings.kafka_partitions:
                return None
            place = TopicPartition(self._topic, partition)
            consumer.assign([place])
            first, end = (
                (await consumer.beginning_offsets([place]))[place],
                (await consumer.end_offsets([place]))[place],
            )
            if not first <= offset < end:
                return None
            consumer.seek(place, offset)
            record = await consumer.getone(place)
        finally:
            with suppress(KafkaError, OSError):
                await consumer.stop()
        return _callback(self._topic, record.offset == offset, record.value, record.timestamp, index)


def _callback(topic: str, is_it: bool, value: bytes | None, timestamp: int, index: int) -> Callback | None:  # noqa: FBT001 - as compared
    if not is_it or value is None:
        return None
    try:
        envelope = _ENVELOPES.decode(value)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    if not 0 <= index < len(envelope.callbacks):
        return None
    repairs = tuple(repair for one in envelope.repaired if one.index == index for repair in one.repairs)
    body = bytes(envelope.callbacks[index])
    return Callback(topic, body, datetime.fromtimestamp(timestamp / 1000, UTC), repairs)
