"""
Reading `routee.erasures`, all of it and without a group: every worker has to know every erasure.
"""

import asyncio
import logging
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.contract.erasures import Reading
from streams.domain.erasing import KnownErasures
from streams.state.succession.reader import Reader

logger = logging.getLogger(__name__)

_POLL_MS: Final = 1_000
_RETRY_SECONDS: Final = 2.0


class ErasureReader:
    """Reads the erasures that it has not read yet."""

    def __init__(self, reader: Reader, topic: str, known: KnownErasures) -> None:
        self.known: Final = known
        self._reader = reader
        self._partition = TopicPartition(topic, 0)
        self._next = 0
        self._reading = Reading(topic)

    async def catch_up(self) -> None:
        """
        Read up to the end of the topic.

        Raises AnotherKeyError, NotAnErasureError, and KafkaError when no broker answers.
        """
        async with self._reader.open() as consumer:
            end = (await consumer.end_offsets([self._partition]))[self._partition]
            self._begin(consumer)
            while await consumer.position(self._partition) < end:
                await self._take(consumer)
        self._reading.check()

    async def follow(self) -> None:
        """
        Read what comes, for ever: a second later, or when Kafka answers again.

        Raises AnotherKeyError and NotAnErasureError.
        """
        while True:
            try:
                async with self._reader.open() as consumer:
                    self._begin(consumer)
                    while True:
                        await self._take(consumer)
                        self._reading.check()
            except KafkaError as error:
                logger.warning("cannot read the erasures: %r", error)
                await asyncio.sleep(_RETRY_SECONDS)

    def _begin(self, consumer: AIOKafkaConsumer) -> None:
        consumer.assign([self._partition])
        consumer.seek(self._partition, self._next)

    async def _take(self, consumer: AIOKafkaConsumer) -> None:
        for record in (await consumer.getmany(self._partition, timeout_ms=_POLL_MS)).get(self._partition, ()):
            self._next = record.offset + 1
            erasure = self._reading.read(record.offset, record.key, record.value)
            if erasure is not None:
                self.known.add(record.offset, erasure)
