"""
The topic of erasures, from its beginning on, by a consumer without a group.
"""

import logging
import time
from typing import Any, Final

from kafka.errors import KafkaError, OffsetOutOfRangeError
from kafka.structs import TopicPartition as KafkaPartition

from sinks.errors import ConnectError, FatalError, TopicError
from sinks.kafka.client import ASK_MS, CLOSE_MS, open_plain_consumer
from sinks.kafka.refusal import refusal
from streams.contract.erasures import Erasure, NotAnErasureError, Reading
from streams.contract.topics import ERASURES
from streams.program.kafka_problems import missing_topic
from streams.program.settings import CommonSettings

logger = logging.getLogger(__name__)

_ALL_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.5
_AT_ONCE: Final = 10_000


class KafkaErasures:
    """
    Implements `ErasureSource`: of the topic's one partition. For one thread at a time.

    TopicError when the topic does not exist, ConnectError when no broker answers, FatalError for a record that is no
    erasure.
    """

    def __init__(self, settings: CommonSettings) -> None:
        self._settings = settings
        self._topic = ERASURES.name(settings.kafka_topic_prefix)
        self._partition = KafkaPartition(self._topic, 0)
        self._reading = Reading(self._topic)
        self._consumer: Any = open_plain_consumer(settings, group=None)
        if not self._consumer.partitions_for_topic(self._topic):
            self.close()
            raise TopicError(missing_topic(self._topic))
        self._consumer.assign([self._partition])

    def all(self) -> list[Erasure]:
        """Return the erasures up to the end that the topic has now."""
        deadline = time.monotonic() + _ALL_SECONDS
        found: list[Erasure] = []
        try:
            oldest = self._consumer.beginning_offsets([self._partition], timeout_ms=ASK_MS)[self._partition]
            end = self._consumer.end_offsets([self._partition], timeout_ms=ASK_MS)[self._partition]
            self._consumer.seek(self._partition, oldest)
            while self._consumer.position(self._partition, timeout_ms=ASK_MS) < end:
                if time.monotonic() > deadline:
                    raise ConnectError(
                        f"{self._topic} was not read within {_ALL_SECONDS:.0f} s, and without it nothing is"
                    )
                found += self._poll(_POLL_SECONDS)
        except KafkaError as error:
            raise ConnectError(f"Kafka does not tell the offsets of {self._topic}: {error!r}") from error
        self._check()
        return found

    def read(self, seconds: float) -> list[Erasure]:
        """Return further erasures; none while no broker answers."""
        found = self._poll(seconds)
        self._check()
        return found

    def has_all(self) -> bool:
        """Ask for the end of the topic; false when no broker tells it."""
        try:
            end = self._consumer.end_offsets([self._partition], timeout_ms=ASK_MS)[self._partition]
            return bool(self._consumer.position(self._partition, timeout_ms=ASK_MS) >= end)
        except KafkaError as error:
            logger.warning("Kafka does not tell erasures", extra={"error": type(error).__name__})
            return False

    def _check(self) -> None:
        try:
            self._reading.check()
        except NotAnErasureError as error:
            raise FatalError(f"{error}. Nothing is written until then") from None

    def _poll(self, seconds: float) -> list[Erasure]:
        try:
            records = self._consumer.poll(int(seconds * 1000), _AT_ONCE).get(self._partition, ())
        except OffsetOutOfRangeError as error:
            raise TopicError(
                f"{self._topic} ends before the erasures that were read: it was made anew or cut, and numbers that are "
                "not on it would come back. Put it back, or erase them again, and start the sink"
            ) from error
        except KafkaError as error:
            if line := refusal(error, self._settings, [self._topic], ""):
                raise ConnectError(line) from error
            logger.warning("Kafka does not tell erasures", extra={"error": type(error).__name__})
            # The client may raise at once.
            time.sleep(seconds)
            return []
        read = (self._reading.read(record.offset, record.key, record.value) for record in records)
        return [erasure for erasure in read if erasure is not None]

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close(timeout_ms=CLOSE_MS)
