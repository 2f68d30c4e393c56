"""
One consumer of the public topics, in no group: it begins two hours back, keeps the picture, and comes back by itself.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from console.answers import why_silent
from console.live.picture import Picture
from console.records import ALARMS, CAMPAIGNS, CELLS
from console.settings import ConsoleSettings
from streams.contract.topics import CAMPAIGN_PROGRESS, DELIVERY_ALARMS, DELIVERY_WINDOWS
from streams.program.brokers import UnusableFilesError, client_options

logger = logging.getLogger(__name__)

BACK: Final = timedelta(hours=2)
_POLL_MS: Final = 200
_MOST_RECORDS: Final = 2_000
_ANSWER_SECONDS: Final = 15.0
_AGAIN_SECONDS: Final = 2.0
_FORGET_SECONDS: Final = 60.0

Sleep = Callable[[float], Awaitable[None]]


class Feed:
    """
    Reads until it is stopped. `trouble` says why nothing comes, None while records can be read.

    Campaigns and cells begin two hours back. Alarms begin at the oldest record: their topic keeps one record for each,
    and one that opened yesterday may be open still.
    """

    def __init__(self, settings: ConsoleSettings, picture: Picture, sleep: Sleep = asyncio.sleep) -> None:
        self._settings = settings
        self._picture = picture
        self._sleep = sleep
        prefix = settings.kafka_topic_prefix
        self._take: dict[str, Callable[[bytes], None]] = {
            CAMPAIGN_PROGRESS.name(prefix): lambda value: picture.take_campaign(CAMPAIGNS.decode(value)),
            DELIVERY_WINDOWS.name(prefix): lambda value: picture.take_cell(CELLS.decode(value)),
            DELIVERY_ALARMS.name(prefix): lambda value: picture.take_alarm(ALARMS.decode(value)),
        }
        self._from_the_oldest = DELIVERY_ALARMS.name(prefix)
        self._forgotten = monotonic()
        self.trouble: str | None = "Kafka was not read yet"
        self.since = datetime.now(UTC)
        """When the trouble began, or the reading."""
        self.records = self.unreadable = 0

    @property
    def still_since(self) -> datetime | None:
        """Return since when the picture stands still, None while records can be read."""
        return None if self.trouble is None else self.since

    async def run(self) -> None:
        """Read for ever; each failure is told once and tried again."""
        while True:
            try:
                await self._read()
            except (KafkaError, OSError, TimeoutError, UnusableFilesError) as error:
                self._is_away(f"Kafka does not answer ({why_silent(error)})")
            await self._sleep(_AGAIN_SECONDS)

    async def _read(self) -> None:
        # With topics, `start` would wait for the missing ones, and not tell which they are.
        consumer = AIOKafkaConsumer(
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=_POLL_MS,
            request_timeout_ms=int(_ANSWER_SECONDS * 1000),
            retry_backoff_ms=250,
            **client_options(self._settings),
        )
        try:
            await asyncio.wait_for(consumer.start(), _ANSWER_SECONDS)
            partitions = await asyncio.wait_for(self._begin(consumer), _ANSWER_SECONDS)
            if partitions:
                await self._follow(consumer)
        finally:
            with suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(consumer.stop(), _ANSWER_SECONDS)

    async def _begin(self, consumer: Any) -> list[TopicPartition]:  # noqa: ANN401 - aiokafka has no types
        """Place the consumer; returns its partitions, none while a topic is missing."""
        there = await consumer.topics()
        if missing := sorted(self._take.keys() - there):
            self._is_away(f"Kafka has no topic {', '.join(missing)}: run `routee-streams topics`")
            return []
        consumer.subscribe([*self._take])
        while {one.topic for one in consumer.assignment()} != self._take.keys():  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(_POLL_MS / 1000)
        partitions: list[TopicPartition] = sorted(consumer.assignment())
        begin = int((datetime.now(UTC) - BACK).timestamp() * 1000)
        timed = {one: begin for one in partitions if one.topic != self._from_the_oldest}
        found = await consumer.offsets_for_times(timed)
        ends = await consumer.end_offsets(list(timed))
        for partition in timed:
            place = found.get(partition)
            consumer.seek(partition, ends[partition] if place is None else place.offset)
        await consumer.seek_to_beginning(*(one for one in partitions if one.topic == self._from_the_oldest))
        return partitions

    async def _follow(self, consumer: Any) -> None:  # noqa: ANN401 - as above
        quiet_since = monotonic()
        while True:
            batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MOST_RECORDS)
            for records in batches.values():
                for record in records:
                    self._taken(record.topic, record.value)
            if batches:
                quiet_since = monotonic()
            if self.trouble is not None or monotonic() - quiet_since > _ANSWER_SECONDS:
                # Kafka gives nothing to a reader that it does not answer, either: ask whether it is there.
                await asyncio.wait_for(consumer.end_offsets(list(consumer.assignment())), _ANSWER_SECONDS)
                quiet_since = monotonic()
                self._is_read()
            if monotonic() - self._forgotten > _FORGET_SECONDS:
                self._forgotten = monotonic()
                self._picture.forget(datetime.now(UTC))

    def _taken(self, topic: str, value: bytes | None) -> None:
        if value is None:  # a tombstone
            return
        try:
            self._take[topic](value)
        except (msgspec.DecodeError, msgspec.ValidationError):  # of a later version, perhaps: the next one may do
            self.unreadable += 1
            return
        self.records += 1

    def _is_read(self) -> None:
        if self.trouble is not None:
            logger.info("reading live state from Kafka")
            self.trouble, self.since = None, datetime.now(UTC)

    def _is_away(self, why: str) -> None:
        if self.trouble is None or self.trouble != why:
            logger.warning("%s: the live numbers stand still", why)
        if self.trouble is None:
            self.since = datetime.now(UTC)
        self.trouble = why
