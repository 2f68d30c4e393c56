"""
Tells a webhook of each alarm that opens or closes, for people without Alertmanager.

It is a reader of `routee.delivery.alarms` with a group of its own, in every worker; one of them has the partition, and
another one takes over when it ends. A notice is committed after it was delivered, so it is told at least once, and
again only when a worker ends between the two. It takes one record at a time and waits without a thread: a receiver
that is slow or away delays the notices behind it and nothing else.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import time
from typing import Any, Final

import aiohttp
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from mode import Service
from prometheus_client import Counter

from streams.domain.alarms.notice import MOST_SECONDS, Notice, notice_of, pause_after, signed_headers
from streams.runtime import private_names

logger = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 10.0
_SESSION_MS: Final = 10_000
_POLL_MS: Final = 1_000
_LOOK_SECONDS: Final = 1.0
"""While a notice waits for its next attempt: how often the partition is looked for, which may have gone."""
_KAFKA_SECONDS: Final = 5.0
_STOP_SECONDS: Final = 3.0
# The group's own heartbeats tell that a worker lives; a long pause between two records is none of its concern.
_MOST_POLL_MS: Final = 2 * MOST_SECONDS * 1000
_DELIVERED: Final = range(200, 300)


class Gone(Exception):  # noqa: N818 - no error
    """Another worker has the partition."""


class Webhook(Service):
    """Delivers notices to `url`, signed with `key`; `options` are an aiokafka client's, to reach the brokers."""

    logger = private_names.FAUST_LOGGER

    def __init__(  # noqa: PLR0913, PLR0917 - its ports
        self,
        url: str,
        key: bytes,
        topic: str,
        group: str,
        options: Mapping[str, Any],
        notices: Counter,
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        super().__init__()
        self._url = url
        self._key = key
        self._topic = topic
        self._group = group
        self._options = options
        self._notices = notices
        self._clock = clock
        self._problem = ""
        self._known: set[TopicPartition] = set()
        """Partitions with a commit."""
        self._ended = asyncio.Event()

    async def on_stop(self) -> None:
        """Leave the group before the task is cancelled, so that another worker goes on at once."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), _STOP_SECONDS)

    @Service.task
    async def _tell(self) -> None:
        try:
            while not self.should_stop:
                try:
                    await self._serve()
                except KafkaError as error:
                    logger.warning("the alarms cannot be read for the webhook: %s", type(error).__name__)
                    await self.sleep(_KAFKA_SECONDS)
        finally:
            self._ended.set()

    async def _serve(self) -> None:
        consumer = AIOKafkaConsumer(
            self._topic,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            session_timeout_ms=_SESSION_MS,
            max_poll_interval_ms=_MOST_POLL_MS,
            **self._options,
        )
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            try:
                await consumer.start()
                while not self.should_stop:
                    await self._take(consumer, session)
            finally:
                await consumer.stop()

    async def _take(self, consumer: AIOKafkaConsumer, session: aiohttp.ClientSession) -> None:
        for partition in consumer.assignment() - self._known:
            if await consumer.committed(partition) is None:
                # The first start: from now on every alarm is told, also those during a restart.
                await consumer.commit({partition: await consumer.position(partition)})
            self._known.add(partition)
        for partition, records in (await consumer.getmany(timeout_ms=_POLL_MS, max_records=1)).items():
            for record in records:
                try:
                    await self._deliver(consumer, partition, record, session)
                except Gone:
                    return
                await consumer.commit({partition: record.offset + 1})

    async def _deliver(
        self,
        consumer: AIOKafkaConsumer,
        partition: TopicPartition,
        record: Any,  # noqa: ANN401 - aiokafka has no types
        session: aiohttp.ClientSession,
    ) -> None:
        try:
            notice = notice_of(orjson.loads(record.value)) if record.value else None
        except (ValueError, KeyError, TypeError):
            logger.warning("a record that is no alarm is passed over for the webhook: offset %d", record.offset)
            return
        attempts = 0
        while notice is not None and not await self._is_delivered(session, notice):
            attempts += 1
            if self._clock() - record.timestamp / 1000 > MOST_SECONDS:
                self._notices.labels("given up").inc()
                logger.error("the webhook has not taken a notice for a day, it is given up: %s", notice.id)
                return
            await self._pause(consumer, partition, pause_after(attempts))

    async def _pause(self, consumer: AIOKafkaConsumer, partition: TopicPartition, seconds: float) -> None:
        """Wait; raises Gone when the partition goes meanwhile, or the worker ends."""
        begun = asyncio.get_running_loop().time()
        while (left := begun + seconds - asyncio.get_running_loop().time()) > 0:
            await self.sleep(min(left, _LOOK_SECONDS))
            if self.should_stop or partition not in consumer.assignment():
                raise Gone

    async def _is_delivered(self, session: aiohttp.ClientSession, notice: Notice) -> bool:
        headers = signed_headers(notice, self._key, int(self._clock()))
        try:
            async with session.post(self._url, data=notice.body, headers=headers, allow_redirects=False) as answer:
                status = answer.status
        # ValueError: the name of the host cannot be encoded.
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            problem = type(error).__name__
        else:
            problem = "" if status in _DELIVERED else f"status {status}"
        self._note(problem)
        return not problem

    def _note(self, problem: str) -> None:
        self._notices.labels("failed" if problem else "delivered").inc()
        # The address may have a secret in it.
        if problem and problem != self._problem:
            logger.warning("STREAMS_ALARM_WEBHOOK does not take notices, they are sent again: %s", problem)
        elif self._problem and not problem:
            logger.info("STREAMS_ALARM_WEBHOOK takes notices again")
        self._problem = problem
