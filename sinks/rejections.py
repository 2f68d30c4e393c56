"""
Refused rows: kept in `routee.sinks.rejected`, with the store's own words, before their offsets are committed.
"""

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from sinks.errors import FloodError
from sinks.source import Record
from streams.contract.records import SinkRejection
from streams.contract.refused import text_or_base64
from streams.contract.topics import SINKS_REJECTED

_WINDOW_SECONDS: Final = 60.0
_ERROR_CHARS: Final = 4_000
# JSON may take six bytes of text for one byte. A value with more text is kept as base64, which takes four for three: so
# the longest record fits into a request.
_TEXT_BYTES: Final = 1_200_000


class Rejections(Protocol):
    """Where refused rows are kept."""

    def add(self, rejection: SinkRejection) -> None:
        """Keep the rejection; returns when it is durable. RetryableError when it cannot be kept now."""

    def close(self) -> None:
        """Close connections."""


class MemoryRejections:
    """Rejections in memory, for tests."""

    def __init__(self) -> None:
        self.kept: list[SinkRejection] = []

    def add(self, rejection: SinkRejection) -> None:
        """Keep the rejection."""
        self.kept.append(rejection)

    def close(self) -> None:
        """Do nothing: there is no connection."""


class Flood:
    """Tells bad rows from a bad sink, which refuses more than `per_minute` rows within a minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._times: deque[float] = deque()

    def count(self) -> None:
        """Count one refused row. FloodError when it is one too many: the row must not be given up then."""
        now = self._clock()
        while self._times and self._times[0] <= now - _WINDOW_SECONDS:
            self._times.popleft()
        if len(self._times) >= self._per_minute:
            raise FloodError(
                f"more than SINKS_MAX_REJECTED_PER_MINUTE={self._per_minute} rows were refused within a minute: "
                f"see {SINKS_REJECTED.suffix} for the reasons; no further row was given up"
            )
        self._times.append(now)


def rejection_of(record: Record, sink: str, table: str, error: str) -> SinkRejection:
    """Return the rejection of a row: the whole record, and the error of the store."""
    value = record.value or b""
    text, base64 = text_or_base64(value, _TEXT_BYTES)
    return SinkRejection(
        rejected_at=datetime.now(UTC),
        sink=sink,
        table=table,
        error=error[:_ERROR_CHARS],
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        value=text,
        value_base64=base64,
    )
