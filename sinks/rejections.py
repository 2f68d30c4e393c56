"""
Rows that no store takes: to `routee.sinks.rejected`, with the store's own words, before their offsets are committed.
"""

import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

import orjson
from kafka import KafkaProducer
from kafka.errors import KafkaError

from sinks.errors import FloodError, RetryableError
from sinks.source import Record
from streams.contract.brokers import UnusableFilesError, client_options
from streams.contract.codec import encode
from streams.contract.records import SinkRejection
from streams.contract.settings import CommonSettings
from streams.contract.topics import SINKS_REJECTED

_MINUTE: Final = 60.0
_ACK_SECONDS: Final = 10.0
_ERROR_CHARS: Final = 4_000
_REQUEST_BYTES: Final = 2 << 20
# JSON text may take six bytes for one; beyond this base64 is shorter, and the longest record fits into a request.
_TEXT_BYTES: Final = 1_200_000


class Rejections(Protocol):
    """Where refused rows are kept."""

    def add(self, rejection: SinkRejection) -> None:
        """Return when the rejection is durable. RetryableError when it cannot be kept now."""

    def close(self) -> None:
        """Let go of connections."""


class MemoryRejections:
    """The twin in memory."""

    def __init__(self) -> None:
        self.kept: list[SinkRejection] = []

    def add(self, rejection: SinkRejection) -> None:
        """Keep it."""
        self.kept.append(rejection)

    def close(self) -> None:
        """Nothing to let go of."""


class KafkaRejections:
    """Rejections to Kafka, acknowledged by all in-sync replicas. It connects when the first one comes."""

    def __init__(self, settings: CommonSettings) -> None:
        self._settings = settings
        self._topic = SINKS_REJECTED.name(settings.kafka_topic_prefix)
        self._producer: KafkaProducer | None = None

    def add(self, rejection: SinkRejection) -> None:
        """Produce it and wait for the acknowledgement."""
        try:
            if self._producer is None:
                self._producer = self._connect()
            self._producer.send(self._topic, encode(rejection)).get(timeout=_ACK_SECONDS)
        except KafkaError as error:
            raise RetryableError(f"{self._topic}: {type(error).__name__}") from error
        except UnusableFilesError as error:
            raise RetryableError(f"{self._topic}: {error}") from error

    def _connect(self) -> KafkaProducer:
        """Return a producer. UnusableFilesError when a certificate that was there at the start is gone."""
        return KafkaProducer(acks="all", max_request_size=_REQUEST_BYTES, **client_options(self._settings))

    def close(self) -> None:
        """Close the producer, if there is one."""
        if self._producer is not None:
            self._producer.close(timeout=1)


class Flood:
    """Tells bad rows from a bad sink: more than `per_minute` refused rows within a minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._times: deque[float] = deque()

    def count(self) -> None:
        """Count one refused row. FloodError when it is one too many; it must then not be given up."""
        now = self._clock()
        while self._times and self._times[0] <= now - _MINUTE:
            self._times.popleft()
        if len(self._times) >= self._per_minute:
            raise FloodError(
                f"more than SINKS_MAX_REJECTED_PER_MINUTE={self._per_minute} rows were refused within a minute: "
                f"see {SINKS_REJECTED.suffix} for the reasons; no further row was given up"
            )
        self._times.append(now)


def rejection_of(record: Record, sink: str, table: str, error: str) -> SinkRejection:
    """Return what is kept of one refused row: all of it."""
    value = record.value or b""
    text = _text(value)
    return SinkRejection(
        rejected_at=datetime.now(UTC),
        sink=sink,
        table=table,
        error=error[:_ERROR_CHARS],
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        value=text,
        value_base64=b64encode(value).decode() if text is None else None,
    )


def _text(value: bytes) -> str | None:
    """Return the value as text, None when it is not UTF-8 or grows too long as JSON."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if len(orjson.dumps(text)) <= _TEXT_BYTES else None
