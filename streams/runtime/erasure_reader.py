"""
Reading `routee.erasures`, all of it and without a group: every worker has to know every erasure.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.contract.erasures import Reading
from streams.domain.erasing import KnownErasures
from streams.state.succession.reader import Reader

logger = logging.getLogger(__name__)

_POLL_MS: Final = 1_000
_RETRY_SECONDS: Final = 2.0
_ASK_EVERY_SECONDS: Final = 3.0
_ANSWER_SECONDS: Final = 5.0
_NOTE_SECONDS: Final = 1.0

CURRENT_SECONDS: Final = 30.0
"""For so long the erasures that were read count as all, after Kafka has said so. Most outages of Kafka are shorter."""


class ErasureReader:
    """
    Reads the erasures that it has not read yet, and says whether these are all that there are (`known.is_current`).

    A worker that cannot reach the topic goes on reading callbacks: they lie on other brokers.
    """

    def __init__(
        self, reader: Reader, topic: str, known: KnownErasures, clock: Callable[[], float] = monotonic
    ) -> None:
        self.known: Final = known
        self._clock = clock
        self._confirmed = clock()
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
        self._note(is_confirmed=True)

    async def follow(self) -> None:
        """
        Read what comes, for ever: a second later, or when Kafka answers again.

        Raises AnotherKeyError and NotAnErasureError.
        """
        noting = asyncio.ensure_future(self._note_again_and_again())
        try:
            await self._follow()
        finally:
            noting.cancel()

    async def _note_again_and_again(self) -> None:
        """Note in time that too long ago Kafka said so: a broker that hangs may be waited for much longer."""
        while True:
            await asyncio.sleep(_NOTE_SECONDS)
            self._note(is_confirmed=False)

    async def _follow(self) -> None:
        while True:
            try:
                async with self._reader.open() as consumer:
                    self._begin(consumer)
                    while True:
                        await self._take(consumer)
                        self._reading.check()
                        await self._confirm(consumer)
            except (KafkaError, TimeoutError) as error:
                logger.warning("cannot read the erasures: %r", error)
                self._note(is_confirmed=False)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _confirm(self, consumer: AIOKafkaConsumer) -> None:
        """Ask now and then for the end of the topic: a consumer that cannot reach a broker says nothing of it."""
        if self._clock() - self._confirmed < _ASK_EVERY_SECONDS:
            return
        ends = await asyncio.wait_for(consumer.end_offsets([self._partition]), _ANSWER_SECONDS)
        self._note(is_confirmed=await consumer.position(self._partition) >= ends[self._partition])

    def _note(self, *, is_confirmed: bool) -> None:
        now = self._clock()
        if is_confirmed:
            self._confirmed = now
            self.known.confirmations += 1
        is_current = now - self._confirmed < CURRENT_SECONDS
        if is_current is not self.known.is_current:
            told = (
                "are read again" if is_current else "were not told for too long: no callback is taken in until they are"
            )
            logger.warning("the erasures %s", told)
        self.known.is_current = is_current

    def _begin(self, consumer: AIOKafkaConsumer) -> None:
        consumer.assign([self._partition])
        consumer.seek(self._partition, self._next)

    async def _take(self, consumer: AIOKafkaConsumer) -> None:
        for record in (await consumer.getmany(self._partition, timeout_ms=_POLL_MS)).get(self._partition, ()):
            self._next = record.offset + 1
            erasure = self._reading.read(record.offset, record.key, record.value)
            if erasure is not None:
                self.known.add(record.offset, erasure)
